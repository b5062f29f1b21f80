/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_HOST_H
#define _TDXMOD_HOST_H

/* What the files share that make the module one of a running kernel. */

#include "tdxmod.h"

/* direct_map.c */
int tdxmod_protect_enable(u64 end);
int tdxmod_change_direct_map(unsigned long pfn, unsigned long nr, bool present);
bool tdxmod_protects(void);
u64 tdxmod_hidden_pages(void);
u64 tdxmod_unhidden_pages(void);
bool tdxmod_page_hidden(u64 pa);

/* debugfs.c; the private data of a file is the module */
struct seq_file;

int tdxmod_calls_show(struct seq_file *m, void *unused);
int tdxmod_misuse_show(struct seq_file *m, void *unused);
int tdxmod_tds_show(struct seq_file *m, void *unused);
int tdxmod_memory_show(struct seq_file *m, void *unused);
void tdxmod_reset_stats(struct tdxmod *mod);
void tdxmod_debugfs_create(struct tdxmod *mod);

#endif /* _TDXMOD_HOST_H */
