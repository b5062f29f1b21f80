// SPDX-License-Identifier: GPL-2.0
/*
 * What the module of a running kernel has been asked, and what it has: debugfs, below
 * "tdxmod".
 *
 *	calls	"LEAF STATUS COUNT" for each that is not 0.  Calls of leaves that the
 *		module does not have are those of "unknown".  Who writes "reset" sets
 *		these counters to 0, and those of misuse
 *	misuse	"misuse COUNT": calls whose status a correct caller never sees;
 *		"broken COUNT": inconsistencies that the module has found in itself
 *	tds	"TDR HKID LIFECYCLE OP_STATE VCPUS CHILDREN" for each TD, the last in
 *		units of 4K
 *	memory	"TYPE COUNT" for pages of each type, private memory by size;
 *		"hidden COUNT": pages of 4K that are out of the direct map;
 *		"visible COUNT": those that should have gone, but for lack of memory, since
 *		the module was made; "metadata BYTES"
 *
 * There, "-" is an op_state that a TD does not have yet, or not any more.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "host.h"
#include "internal.h"

/* --- calls and misuse ------------------------------------------------------ */

static void show_leaf(struct seq_file *m, const struct tdxmod *mod, unsigned int leaf)
{
	const char *name = tdxmod_leaf_name(leaf);
	int i;

	for (i = 0; i < TDXMOD_NR_STATUSES; i++) {
		u64 count = atomic64_read(&mod->stats.calls[leaf][i]);

		if (!count)
			continue;
		if (name)
			seq_printf(m, "%s %s %llu\n", name, tdxmod_status_name(i), count);
		else
			seq_printf(m, "%u %s %llu\n", leaf, tdxmod_status_name(i), count);
	}
}

int tdxmod_calls_show(struct seq_file *m, void *unused)
{
	const struct tdxmod *mod = m->private;
	u64 unknown = atomic64_read(&mod->stats.unknown);
	unsigned int leaf;

	for (leaf = 0; leaf < TDXMOD_NR_LEAVES; leaf++)
		show_leaf(m, mod, leaf);
	if (unknown)
		seq_printf(m, "unknown OPERAND_INVALID %llu\n", unknown);
	return 0;
}

/* Calls that are under way are counted before or after. */
void tdxmod_reset_stats(struct tdxmod *mod)
{
	unsigned int leaf, i;

	for (leaf = 0; leaf < TDXMOD_NR_LEAVES; leaf++) {
		for (i = 0; i < TDXMOD_NR_STATUSES; i++)
			atomic64_set(&mod->stats.calls[leaf][i], 0);
	}
	atomic64_set(&mod->stats.unknown, 0);
	atomic64_set(&mod->stats.misuse, 0);
	atomic64_set(&mod->stats.broken, 0);
}

static ssize_t tdxmod_calls_write(struct file *file, const char __user *from, size_t len,
				  loff_t *pos)
{
	struct seq_file *m = file->private_data;
	char word[8] = {};

	if (len >= sizeof(word))
		return -EINVAL;
	if (copy_from_user(word, from, len))
		return -EFAULT;
	if (!sysfs_streq(word, "reset"))
		return -EINVAL;
	tdxmod_reset_stats(m->private);
	return len;
}

DEFINE_SHOW_STORE_ATTRIBUTE(tdxmod_calls);

int tdxmod_misuse_show(struct seq_file *m, void *unused)
{
	const struct tdxmod *mod = m->private;

	seq_printf(m, "misuse %llu\nbroken %llu\n", (u64)atomic64_read(&mod->stats.misuse),
		   (u64)atomic64_read(&mod->stats.broken));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tdxmod_misuse);

/* --- TDs ------------------------------------------------------------------- */

static const char *const lifecycles[] = {
	[HKID_ASSIGNED]		= "HKID_ASSIGNED",
	[KEYS_CONFIGURED]	= "KEYS_CONFIGURED",
	[BLOCKED_FOR_GOOD]	= "BLOCKED",
	[TEARDOWN]		= "TEARDOWN",
};

static const char *const op_states[] = {
	[OP_UNINITIALIZED]	= "UNINITIALIZED",
	[OP_INITIALIZED]	= "INITIALIZED",
	[OP_RUNNABLE]		= "RUNNABLE",
	[OP_LIVE_EXPORT]	= "LIVE_EXPORT",
	[OP_PAUSED_EXPORT]	= "PAUSED_EXPORT",
	[OP_POST_EXPORT]	= "POST_EXPORT",
	[OP_MEMORY_IMPORT]	= "MEMORY_IMPORT",
	[OP_STATE_IMPORT]	= "STATE_IMPORT",
	[OP_POST_IMPORT]	= "POST_IMPORT",
	[OP_LIVE_IMPORT]	= "LIVE_IMPORT",
	[OP_FAILED_IMPORT]	= "FAILED_IMPORT",
};

static void show_td(struct seq_file *m, const struct tdxmod_td *td)
{
	const char *op_state = td->lifecycle == KEYS_CONFIGURED ? op_states[td->op_state] : "-";

	seq_printf(m, "0x%llx %u %s %s %llu %llu\n", td->object.pa, td->hkid,
		   lifecycles[td->lifecycle], op_state, (u64)atomic64_read(&td->vcpus),
		   (u64)atomic64_read(&td->children));
}

/* An object in the list has its page, of the type that tells what it is. */
int tdxmod_tds_show(struct seq_file *m, void *unused)
{
	const struct tdxmod_object *object;
	struct tdxmod *mod = m->private;
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&mod->objects_lock, flags);
	for (i = 0; i < TDXMOD_BUCKETS; i++) {
		for (object = mod->objects[i]; object; object = object->next) {
			if (pamt_entry(mod, object->pa, TDXMOD_LEVEL_4K)->type == PAMT_TDR)
				show_td(m, (const struct tdxmod_td *)object);
		}
	}
	spin_unlock_irqrestore(&mod->objects_lock, flags);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tdxmod_tds);

/* --- memory ---------------------------------------------------------------- */

#define NR_TYPES	(PAMT_EPT + 1)

static const char *const types[NR_TYPES] = {
	[PAMT_RSVD]	= "RSVD",
	[PAMT_TDR]	= "TDR",
	[PAMT_TDCX]	= "TDCX",
	[PAMT_TDVPR]	= "TDVPR",
	[PAMT_EPT]	= "EPT",
};

static const char *const sizes[TDXMOD_PAMT_LEVELS] = {
	"REG_4K", "REG_2M", "REG_1G",
};

/**
 * struct page_census - pages by type
 * @private: by level
 * @others: by type
 * @metadata: bytes
 */
struct page_census {
	u64 private[TDXMOD_PAMT_LEVELS];
	u64 others[NR_TYPES];
	u64 metadata;
};

/* The locks of the metadata are not taken: this is a count of what changes. */
static void count_pages(const struct tdxmod_tdmr *tdmr, struct page_census *census)
{
	int level;
	u64 i, nr;

	for (level = 0; level < TDXMOD_PAMT_LEVELS; level++) {
		nr = tdmr->size >> level_shift(level);
		census->metadata += nr * sizeof(*tdmr->pamt[level]);
		for (i = 0; i < nr; i++) {
			u8 type = READ_ONCE(tdmr->pamt[level][i].type);

			if (type == PAMT_REG)
				census->private[level]++;
			else if (type < NR_TYPES)
				census->others[type]++;
			if (!(i % TDXMOD_ENTRIES))
				cond_resched();
		}
	}
}

int tdxmod_memory_show(struct seq_file *m, void *unused)
{
	const struct tdxmod *mod = m->private;
	struct page_census census = {};
	unsigned int i;

	for (i = 0; i < mod->nr_tdmrs; i++)
		count_pages(&mod->tdmrs[i], &census);
	for (i = 0; i < TDXMOD_PAMT_LEVELS; i++)
		seq_printf(m, "%s %llu\n", sizes[i], census.private[i]);
	for (i = 0; i < NR_TYPES; i++) {
		if (types[i])
			seq_printf(m, "%s %llu\n", types[i], census.others[i]);
	}
	seq_printf(m, "hidden %llu\nvisible %llu\nmetadata %llu\n", tdxmod_hidden_pages(),
		   tdxmod_unhidden_pages(), census.metadata);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(tdxmod_memory);

/* The module stays, and so do the files. */
void tdxmod_debugfs_create(struct tdxmod *mod)
{
	struct dentry *dir = debugfs_create_dir("tdxmod", NULL);

	debugfs_create_file("calls", 0600, dir, mod, &tdxmod_calls_fops);
	debugfs_create_file("misuse", 0400, dir, mod, &tdxmod_misuse_fops);
	debugfs_create_file("tds", 0400, dir, mod, &tdxmod_tds_fops);
	debugfs_create_file("memory", 0400, dir, mod, &tdxmod_memory_fops);
}
