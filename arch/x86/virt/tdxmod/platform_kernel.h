/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_PLATFORM_KERNEL_H
#define _TDXMOD_PLATFORM_KERNEL_H

/* The kernel's side of platform.h. */

#include <crypto/hash.h>
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/tdxmod.h>

/* direct_map.c */
void *tdxmod_map(u64 pa);
void *tdxmod_map_shared(u64 pa);
void tdxmod_unmap(void *va);
void tdxmod_page_taken(u64 pa, u64 size);
void tdxmod_page_returned(u64 pa, u64 size);

/* Nobody has the key any more: what is read is neither the old content nor zero. */
#define TDXMOD_SCRUBBED		0xd5

static inline void *tdxmod_alloc(size_t size)
{
	return kvzalloc(size, GFP_KERNEL_ACCOUNT);
}

static inline void *tdxmod_alloc_pamt(size_t size)
{
	void *p = kvzalloc(size, GFP_KERNEL);

	if (p)
		kmemleak_no_scan(p);
	return p;
}

static inline void tdxmod_free(const void *p)
{
	kvfree(p);
}

struct tdxmod_sha384 {
	struct shash_desc desc;
};

static inline struct tdxmod_sha384 *tdxmod_sha384_new(void)
{
	struct crypto_shash *tfm = crypto_alloc_shash("sha384", 0, 0);
	struct tdxmod_sha384 *sha;

	if (IS_ERR(tfm))
		return NULL;
	sha = kzalloc(sizeof(*sha) + crypto_shash_descsize(tfm), GFP_KERNEL_ACCOUNT);
	if (!sha) {
		crypto_free_shash(tfm);
		return NULL;
	}
	sha->desc.tfm = tfm;
	return sha;
}

static inline void tdxmod_sha384_delete(struct tdxmod_sha384 *sha)
{
	if (!sha)
		return;
	crypto_free_shash(sha->desc.tfm);
	kfree_sensitive(sha);
}

/* A software digest of memory that is there does not fail. */
static inline void tdxmod_sha384_start(struct tdxmod_sha384 *sha)
{
	WARN_ON_ONCE(crypto_shash_init(&sha->desc));
}

static inline void tdxmod_sha384_add(struct tdxmod_sha384 *sha, const void *data, size_t len)
{
	WARN_ON_ONCE(crypto_shash_update(&sha->desc, data, len));
}

static inline void tdxmod_sha384_end(struct tdxmod_sha384 *sha, u8 *digest)
{
	WARN_ON_ONCE(crypto_shash_final(&sha->desc, digest));
}

/* host.c; tests put others in their place */
bool tdxmod_interrupt_pending(void);
int tdxmod_this_lp(void);
unsigned int tdxmod_this_package(void);
u64 tdxmod_now(void);

#define tdxmod_complain(fmt, ...) pr_err_ratelimited("tdxmod: " fmt, ##__VA_ARGS__)

#endif /* _TDXMOD_PLATFORM_KERNEL_H */
