// SPDX-License-Identifier: GPL-2.0
/*
 * What there is in the S-EPT of a TD, in the directory of its VM, kvm/PID-FD/tdx:
 *
 *	stats	what is mapped, and what was done: "NAME COUNT"
 *	sept	pages in a row, of the same size and state: "GPA SIZE PFN COUNT STATE"
 *
 * The map is a walk without locks while the guest goes on: each line was true at some time.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "vm.h"

static const char * const tdx_page_names[SEPT_NR_LEVELS] = { "4k", "2m", "1g" };

static void tdx_show_stat(struct seq_file *m, const char *name, atomic_long_t *count)
{
	seq_printf(m, "%s %ld\n", name, atomic_long_read(count));
}

static int tdx_stats_show(struct seq_file *m, void *unused)
{
	struct kvm_tdx *tdx = m->private;
	struct sept_stats *stats = &tdx->td.sept.stats;
	int level;

	for (level = 0; level < SEPT_NR_LEVELS; level++)
		seq_printf(m, "pages_%s %ld\n", tdx_page_names[level],
			   atomic_long_read(&stats->pages[level]));
	tdx_show_stat(m, "tables", &stats->tables);
	tdx_show_stat(m, "tracks", &stats->tracks);
	tdx_show_stat(m, "kicks", &stats->kicks);
	tdx_show_stat(m, "splits", &stats->splits);
	tdx_show_stat(m, "merges", &stats->merges);
	tdx_show_stat(m, "moves", &stats->moves);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tdx_stats);

/* Pages in a row: from @gfn on, @nr of them like @page, which is the first. */
struct tdx_run {
	gfn_t gfn;
	struct sept_page page;
	unsigned long nr;
};

static bool tdx_run_takes(const struct tdx_run *run, gfn_t gfn, const struct sept_page *page)
{
	unsigned long pages = run->nr * sept_level_pages(run->page.level);

	return run->nr && page->level == run->page.level &&
	       page->blocked == run->page.blocked && gfn == run->gfn + pages &&
	       page->pfn == run->page.pfn + pages;
}

static void tdx_show_run(struct seq_file *m, const struct tdx_run *run)
{
	if (run->nr)
		seq_printf(m, "0x%llx %s 0x%lx %lu %s\n", gfn_to_gpa(run->gfn),
			   tdx_page_names[run->page.level], run->page.pfn, run->nr,
			   run->page.blocked ? "blocked" : "mapped");
}

static int tdx_sept_show(struct seq_file *m, void *unused)
{
	struct kvm_tdx *tdx = m->private;
	struct tdx_run run = {};
	struct sept_page page;
	gfn_t gfn = 0;

	for (; sept_next(&tdx->td.sept, &gfn, &page); gfn += sept_level_pages(page.level)) {
		if (tdx_run_takes(&run, gfn, &page)) {
			run.nr++;
			continue;
		}
		tdx_show_run(m, &run);
		run = (struct tdx_run) { .gfn = gfn, .page = page, .nr = 1 };
	}
	tdx_show_run(m, &run);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tdx_sept);

void tdx_debugfs_create(struct kvm_tdx *tdx)
{
	tdx->debugfs = debugfs_create_dir("tdx", tdx->kvm->debugfs_dentry);
	debugfs_create_file("stats", 0444, tdx->debugfs, tdx, &tdx_stats_fops);
	debugfs_create_file("sept", 0444, tdx->debugfs, tdx, &tdx_sept_fops);
}
