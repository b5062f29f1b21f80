/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_HOST_H
#define _TDXMOD_HOST_H

/* What the files share that make the module one of a running kernel. */

#include <linux/init.h>
#include "tdxmod.h"

/* direct_map.c */
int tdxmod_protect_enable(u64 end);
u64 tdxmod_hidden_pages(void);
u64 tdxmod_unhidden_pages(void);
bool tdxmod_page_hidden(u64 pa);

#endif /* _TDXMOD_HOST_H */
