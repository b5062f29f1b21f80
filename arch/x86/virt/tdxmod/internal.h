/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_INTERNAL_H
#define _TDXMOD_INTERNAL_H

/*
 * The software TDX module, from inside.
 *
 * A *call* is one SEAMCALL under way.  It takes locks as it goes, by trying, and
 * never waits; dispatch.c drops them all when its function returns, whatever it
 * returns.  So a function of a leaf is a list of checks, each of which may return a
 * status, and then the changes, which cannot fail.
 *
 * Vocabulary:
 *
 *   page	what a call adds, removes or moves: 4K, 2M or 1G, named by its address
 *   level	0 is 4K, 1 is 2M, 2 is 1G, 3 is 512G, 4 is 256T
 *   table	a 4K page of 512 S-EPT entries.  An entry of level n maps a page of
 *		level n, or points to a table of level n - 1
 *   state	of an S-EPT entry, apart from how its bits look
 *   operand	what a status names as its culprit: a register, a lock
 *
 * Locks, none of which is waited for, in the order in which calls take them:
 *
 *   page metadata of the TDR	  protects struct tdxmod_td, see there
 *     page metadata of the TDVPR (in the calls for a vCPU it comes first)
 *       op_state
 *         S-EPT tree
 *           S-EPT entry, a bit of the entry itself
 *             page metadata of other pages
 *               epoch, key ownership table
 */
#include "tdxmod.h"

#define TDXMOD_LEVEL_4K		0
#define TDXMOD_LEVEL_2M		1
#define TDXMOD_LEVEL_1G		2
#define TDXMOD_LEVEL_512G	3
#define TDXMOD_LEVEL_256T	4

#define TDXMOD_PAGE		4096ULL
#define TDXMOD_ENTRIES		512

static inline unsigned int level_shift(int level)
{
	return 12 + 9 * level;
}

static inline u64 level_size(int level)
{
	return 1ULL << level_shift(level);
}

/* in pages of 4K */
static inline u64 level_pages(int level)
{
	return 1ULL << (9 * level);
}

/* --- locks (lock.c) ------------------------------------------------------- */

/* bit 0: exclusive, bit 1: a host has priority, 15:2: how many have it shared */
#define TDXMOD_LOCK_EXCLUSIVE	BIT(0)
#define TDXMOD_LOCK_HOST	BIT(1)
#define TDXMOD_LOCK_SHARED	BIT(2)

enum tdxmod_lock_mode { SHARED, EXCLUSIVE };

/*
 * A host that fails to get a lock of the kind HOST_FIRST leaves a mark there, and no
 * guest gets it until a host has had it.
 */
enum tdxmod_lock_kind { PLAIN, HOST_FIRST };

bool tdxmod_trylock(u16 *lock, enum tdxmod_lock_mode mode, enum tdxmod_lock_kind kind);
void tdxmod_unlock(u16 *lock, enum tdxmod_lock_mode mode);

/* --- page metadata (pamt.c) ----------------------------------------------- */

enum tdxmod_page_type {
	PAMT_NDA	= 0,	/* not assigned */
	PAMT_RSVD	= 1,
	PAMT_REG	= 3,	/* private memory of a TD */
	PAMT_TDR	= 4,
	PAMT_TDCX	= 5,	/* also those of a vCPU */
	PAMT_TDVPR	= 6,
	PAMT_EPT	= 8,
};

/**
 * struct tdxmod_pamt_entry - what the module knows of one page
 * @lock: protects the others, but for @bepoch
 * @type: enum tdxmod_page_type
 * @owner_high: bits 39:32 of the frame of the TDR
 * @owner_low: bits 31:0 of it.  Stale when the page is not assigned any more
 * @bepoch: TLB epoch in which the page, or the table in it, was blocked.  Written with
 *          the S-EPT entry of the page locked
 */
struct tdxmod_pamt_entry {
	u16 lock;
	u8 type;
	u8 owner_high;
	u32 owner_low;
	u64 bepoch;
};

static_assert(sizeof(struct tdxmod_pamt_entry) == 16);

#define TDXMOD_PAMT_LEVELS	3

/**
 * struct tdxmod_tdmr - memory that TDs can have
 * @base: first byte
 * @size: in bytes
 * @ready: memory below has its metadata initialised
 * @lock: of @ready
 * @pamt: metadata, by level
 */
struct tdxmod_tdmr {
	u64 base;
	u64 size;
	u64 ready;
	u16 lock;
	struct tdxmod_pamt_entry *pamt[TDXMOD_PAMT_LEVELS];
};

/* --- S-EPT states (sept.c, sept_encoding.c) ------------------------------- */

/*
 * Properties of the states of an entry.
 *
 *   LEAF	it maps a page
 *   TABLE	it points to a table
 *   BLOCK	no new translations are made
 *   TRACK	there may be translations in TLBs, which must go before the page does
 *   OPEN	the guest can access the page, at least read it
 *   ACCEPT	the guest can accept the page
 *   EMPTY	the guest has not accepted the page: it has no content yet
 */
#define SEPT_LEAF	BIT(0)
#define SEPT_TABLE	BIT(1)
#define SEPT_BLOCK	BIT(2)
#define SEPT_TRACK	BIT(3)
#define SEPT_OPEN	BIT(4)
#define SEPT_ACCEPT	BIT(5)
#define SEPT_EMPTY	BIT(6)

enum sept_state {
	SEPT_FREE,
	SEPT_REMOVED,
	SEPT_NL_MAPPED,
	SEPT_NL_BLOCKED,
	SEPT_MAPPED,
	SEPT_BLOCKED,
	SEPT_PENDING,
	SEPT_PENDING_BLOCKED,
	SEPT_BLOCKEDW,
	SEPT_EXPORTED_BLOCKEDW,
	SEPT_EXPORTED_DIRTY,
	SEPT_EXPORTED_DIRTY_BLOCKEDW,
	SEPT_PENDING_BLOCKEDW,
	SEPT_PENDING_EXPORTED_BLOCKEDW,
	SEPT_PENDING_EXPORTED_DIRTY,
	SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW,
	SEPT_NR_STATES,
	/* bits that no state has: somebody else has written there */
	SEPT_GARBAGE = SEPT_NR_STATES,
};

/**
 * struct sept_state_info - what is fixed for a state
 * @name: for messages
 * @arch: as calls report it
 * @rwx: access of the guest: read 1, write 2, execute 4
 * @props: SEPT_LEAF, ...
 * @child: state of the pages that such a page is split into
 */
struct sept_state_info {
	const char *name;
	u8 arch;
	u8 rwx;
	u8 props;
	u8 child;
};

extern const struct sept_state_info sept_states[SEPT_NR_STATES + 1];

/**
 * struct sept_entry - an S-EPT entry, whatever its encoding
 * @state: what it is
 * @locked: a call or the guest works on it
 * @host_first: a host has failed to lock it: not for guests
 * @progress: 4K chunks that ACCEPT has zeroed, of a pending 2M page.  PROMOTE may
 *            carry it into an entry of another level
 * @hpa: of the page or the table; 0 if the state has neither
 */
struct sept_entry {
	enum sept_state state;
	bool locked;
	bool host_first;
	u16 progress;
	u64 hpa;
};

static inline bool sept_is(const struct sept_entry *entry, u8 props)
{
	return sept_states[entry->state].props & props;
}

static inline u8 sept_rwx(const struct sept_entry *entry)
{
	return sept_states[entry->state].rwx;
}

/**
 * struct tdxmod_encoding - how S-EPT entries look to a CPU
 * @name: for messages
 * @lock_bit: set in an entry that is locked
 * @host_bit: set in an entry that a host has priority for
 * @ignored: bits that the CPU may set at any time
 * @encode: the bits of an entry
 * @decode: an entry from its bits; the state SEPT_GARBAGE if they mean nothing
 */
struct tdxmod_encoding {
	const char *name;
	u64 lock_bit;
	u64 host_bit;
	u64 ignored;
	u64 (*encode)(const struct sept_entry *entry, int level);
	struct sept_entry (*decode)(u64 raw, int level);
};

/* Operations on entries: the rows of the table of transitions in sept.c. */
enum sept_op {
	SEPT_OP_SEPT_ADD,
	SEPT_OP_SEPT_ADD_EXISTING,
	SEPT_OP_PAGE_ADD,
	SEPT_OP_AUG,
	SEPT_OP_BLOCK,
	SEPT_OP_UNBLOCK,
	SEPT_OP_REMOVE,
	SEPT_OP_SEPT_REMOVE,
	SEPT_OP_PROMOTE,
	SEPT_OP_DEMOTE,
	SEPT_OP_RELOCATE,
	SEPT_OP_EXTEND,
	SEPT_OP_MEM_RD,
	SEPT_OP_MEM_WR,
	SEPT_OP_ACCEPT,
	SEPT_OP_ATTR_RD,
	SEPT_OP_ATTR_WR,
	SEPT_NR_OPS,
};

/* What the table says of an operation on an entry in some state. */
enum sept_verdict {
	SEPT_INCORRECT,		/* the default */
	SEPT_LEGAL,
	SEPT_ALREADY,		/* the entry is what the operation would make it */
	SEPT_MISMATCH,		/* of the sizes */
	SEPT_EXIT,		/* the guest leaves to the host */
};

struct sept_rule {
	u8 verdict;
	u8 to;
};

/**
 * struct sept_walk - where a walk has ended
 * @pa: address of the entry
 * @level: of the entry
 * @entry: what was there
 */
struct sept_walk {
	u64 pa;
	int level;
	struct sept_entry entry;
};

/* Sees an entry of a tree and the address that it is for; false: that is enough. */
typedef bool (*sept_visitor)(const struct sept_walk *walk, u64 gpa, void *arg);

/* --- TDs, vCPUs, keys ----------------------------------------------------- */

/* An object that lives as long as a page of that address is of its type. */
struct tdxmod_object {
	u64 pa;
	struct tdxmod_object *next;
};

enum tdxmod_lifecycle { HKID_ASSIGNED, KEYS_CONFIGURED, BLOCKED_FOR_GOOD, TEARDOWN };

/* Live migration is not modelled: only the first three are ever entered. */
enum tdxmod_op_state {
	OP_UNINITIALIZED,
	OP_INITIALIZED,
	OP_RUNNABLE,
	OP_LIVE_EXPORT,
	OP_PAUSED_EXPORT,
	OP_POST_EXPORT,
	OP_MEMORY_IMPORT,
	OP_STATE_IMPORT,
	OP_POST_IMPORT,
	OP_LIVE_IMPORT,
	OP_FAILED_IMPORT,
};

/* all of them */
#define OP_STATES	(BIT(OP_FAILED_IMPORT + 1) - 1)

#define TDXMOD_MIN_TDCX		6
#define TDXMOD_MAX_TDCX		9
/* of them, what is filled in with something else than zeroes */
#define TDXMOD_TDCX_ONES	2
#define TDXMOD_TDCX_ROOT	3

#define TDXMOD_MIN_VCPU_PAGES	6
#define TDXMOD_MAX_VCPU_PAGES	15

/* width of a guest physical address; the highest bit says that it is shared */
#define TDXMOD_GPA_BITS		48
#define TDXMOD_GPA_BITS_LARGE	52

#define TD_ATTRIBUTE_DEBUG		BIT_ULL(0)
#define TD_ATTRIBUTE_SEPT_VE_DISABLE	BIT_ULL(28)
#define TD_CONFIG_GPAW			BIT_ULL(0)
#define TD_CONFIG_FLEXIBLE_PENDING_VE	BIT_ULL(1)

/**
 * struct tdxmod_td - a TD
 * @object: its TDR
 * @mod: the module it belongs to
 * @hkid: key; that of a TD in TEARDOWN may be another's already
 * @fatal: it must not run any more
 * @lifecycle: enum tdxmod_lifecycle
 * @keyed: packages that have the key
 * @nr_tdcx: pages in @tdcx
 * @tdcx: control pages
 * @children: pages that belong to it, in units of 4K, without the TDR
 * @op_state_lock: of @op_state
 * @op_state: enum tdxmod_op_state
 * @attributes: from TD_PARAMS
 * @xfam: from TD_PARAMS
 * @max_vcpus: from TD_PARAMS
 * @tsc_freq: from TD_PARAMS
 * @config_flags: from TD_PARAMS
 * @arch_caps: from TD_PARAMS
 * @cpuid: from TD_PARAMS, EAX, EBX, ECX, EDX for each of struct tdxmod_config.cpuid
 * @mrconfigid: from TD_PARAMS; so are @mrowner and @mrownerconfig
 * @mrowner: of it
 * @mrownerconfig: of it
 * @shared_bit: of a guest physical address
 * @root_level: level of the entries in the root of the S-EPT
 * @pending_ve_disable: a pending page makes the TD exit
 * @tree_lock: of the S-EPT
 * @epoch_lock: held while @epoch changes
 * @epoch: TLB epoch
 * @inside: vCPUs inside, by the lowest bit of the epoch they entered in
 * @vcpus: initialised
 * @associated: vCPUs whose state may be in the caches of an LP
 * @digest: measurement under way
 * @mrtd: measurement, of a TD that is finalised
 *
 * Exists while its TDR page is of type PAMT_TDR, so holding the metadata of that page
 * locked, shared or exclusive, keeps it.  What is not atomic and has no lock of its own
 * is changed with that lock held exclusive; a shared holder may read it.  @fatal is
 * only ever set.
 */
struct tdxmod_td {
	struct tdxmod_object object;
	struct tdxmod *mod;
	u16 hkid;
	bool fatal;
	u8 lifecycle;
	u32 keyed;
	u8 nr_tdcx;
	u64 tdcx[TDXMOD_MAX_TDCX];
	atomic64_t children;

	u16 op_state_lock;
	u8 op_state;
	u64 attributes;
	u64 xfam;
	u16 max_vcpus;
	u16 tsc_freq;
	u64 config_flags;
	u64 arch_caps;
	u32 (*cpuid)[4];
	u8 mrconfigid[TDXMOD_MRTD_BYTES];
	u8 mrowner[TDXMOD_MRTD_BYTES];
	u8 mrownerconfig[TDXMOD_MRTD_BYTES];
	u8 shared_bit;
	u8 root_level;
	bool pending_ve_disable;

	u16 tree_lock;
	u16 epoch_lock;
	u64 epoch;
	atomic64_t inside[2];
	atomic64_t vcpus;
	atomic64_t associated;
	struct tdxmod_sha384 *digest;
	u8 mrtd[TDXMOD_MRTD_BYTES];
};

enum tdxmod_vcpu_state { VCPU_UNINITIALIZED, VCPU_READY, VCPU_ACTIVE };

#define TDXMOD_NO_LP		-1
/* of zero-step detection */
#define TDXMOD_STEP_EXITS	6
#define TDXMOD_STEP_GPAS	32

/**
 * struct tdxmod_vcpu - a vCPU
 * @object: its TDVPR
 * @td: whose it is
 * @nr_pages: with the TDVPR
 * @pages: the others
 * @state: enum tdxmod_vcpu_state, changed by cmpxchg
 * @index: order of initialisation
 * @entry_value: RCX and R8 that the guest starts with
 * @lp: where its state may be cached, or TDXMOD_NO_LP
 * @epoch: TLB epoch of its last entry
 * @ve_info: the guest has not read the information of the last #VE
 * @busy_since: since when it retries what the host has priority for; 0: it does not
 * @step_rip: where it stood at the last EPT violation
 * @step_exits: EPT violations without progress
 * @step_gpas: addresses of those beyond TDXMOD_STEP_EXITS
 * @nr_step_gpas: how many
 *
 * @nr_pages, @pages, @index and @entry_value are changed with the metadata of the TDVPR
 * page locked exclusive; @lp from TDXMOD_NO_LP by cmpxchg, and back with that lock; all
 * from @epoch on belongs to who has made @state VCPU_ACTIVE.
 */
struct tdxmod_vcpu {
	struct tdxmod_object object;
	struct tdxmod_td *td;
	u8 nr_pages;
	u64 pages[TDXMOD_MAX_VCPU_PAGES - 1];
	u32 state;
	u32 index;
	u64 entry_value;
	int lp;
	u64 epoch;
	bool ve_info;
	u64 busy_since;
	u64 step_rip;
	unsigned int step_exits;
	u64 step_gpas[TDXMOD_STEP_GPAS];
	unsigned int nr_step_gpas;
};

/* An object found by address is cast to what its page says it is. */
static_assert(offsetof(struct tdxmod_td, object) == 0);
static_assert(offsetof(struct tdxmod_vcpu, object) == 0);

enum tdxmod_key_state { KEY_FREE, KEY_ASSIGNED, KEY_FLUSHED, KEY_RESERVED };

/**
 * struct tdxmod_key - the module's side of a private key
 * @state: enum tdxmod_key_state
 * @dirty: packages whose caches must be written back before it is free
 *
 * Protected by kot_lock.
 */
struct tdxmod_key {
	u8 state;
	u32 dirty;
};

#define TDXMOD_BUCKETS		64

static inline unsigned int object_bucket(u64 pa)
{
	return (pa >> 12) % TDXMOD_BUCKETS;
}

enum tdxmod_sys_state { SYS_NOT_READY, SYS_READY, SYS_SHUT_DOWN };

/**
 * struct tdxmod - a module
 * @config: the machine
 * @state: enum tdxmod_sys_state
 * @nr_tdmrs: how many
 * @tdmrs: memory that TDs can have
 * @kot_lock: of @keys, the key ownership table
 * @keys: from config.hkid_first
 * @wb_lock: of a package's TDH.PHYMEM.CACHE.WB
 * @wb_done: blocks that an interrupted one has done, by package; 0: none is interrupted
 * @wb_keys: which keys it started with, by package
 * @objects_lock: of @objects
 * @objects: TDs and vCPUs by address
 * @stats: counters
 */
struct tdxmod {
	struct tdxmod_config config;
	u8 state;
	unsigned int nr_tdmrs;
	struct tdxmod_tdmr *tdmrs;
	u16 kot_lock;
	struct tdxmod_key *keys;
	u16 *wb_lock;
	u16 *wb_done;
	u64 *wb_keys;
	/* of @objects; nothing is done under it but to follow a list, also by an IPI */
	spinlock_t objects_lock;
	struct tdxmod_object *objects[TDXMOD_BUCKETS];
	struct tdxmod_stats stats;
};

static inline unsigned int tdxmod_nr_keys(const struct tdxmod *mod)
{
	return mod->config.hkid_last - mod->config.hkid_first + 1;
}

/* --- a call --------------------------------------------------------------- */

#define TDXMOD_MAX_HELD		16

/**
 * struct tdxmod_call - a SEAMCALL under way
 * @mod: of whom it is asked
 * @regs: its registers
 * @leaf: which it is
 * @version: of the leaf
 * @held: locks it holds
 * @nr_held: how many
 * @entry: address of the S-EPT entry that it has locked, or 0
 * @td: of whom it is; set with its TDR page locked
 */
struct tdxmod_call {
	struct tdxmod *mod;
	struct tdxmod_regs *regs;
	unsigned int leaf;
	unsigned int version;
	struct {
		u16 *lock;
		enum tdxmod_lock_mode mode;
	} held[TDXMOD_MAX_HELD];
	unsigned int nr_held;
	u64 entry;
	struct tdxmod_td *td;
};

/* lock.c */
bool call_lock(struct tdxmod_call *call, u16 *lock, enum tdxmod_lock_mode mode,
	       enum tdxmod_lock_kind kind);
void call_unlock(struct tdxmod_call *call, u16 *lock);
void call_unlock_all(struct tdxmod_call *call);

/* sys.c */
u64 phys_read64(u64 pa);
void phys_write64(u64 pa, u64 value);
bool phys_cmpxchg64(u64 pa, u64 *old, u64 value);
bool phys_read(u64 pa, void *to, unsigned int len);
bool phys_read_shared(u64 pa, void *to, unsigned int len);
void phys_copy_page(u64 to, u64 from);
void phys_copy_shared_page(u64 to, u64 from);
void phys_fill_page(u64 pa, u64 value);
bool tdxmod_shared_hpa(const struct tdxmod *mod, u64 pa, u64 align);
void object_insert(struct tdxmod *mod, struct tdxmod_object *object);
void object_remove(struct tdxmod *mod, struct tdxmod_object *object);
struct tdxmod_object *object_find(struct tdxmod *mod, u64 pa);
u64 leaf_sys_tdmr_init(struct tdxmod_call *call);
void tdxmod_broken(struct tdxmod *mod, const char *what, u64 value);

/* pamt.c */
struct tdxmod_pamt_entry *pamt_entry(const struct tdxmod *mod, u64 pa, int level);
u64 pamt_owner(const struct tdxmod_pamt_entry *entry);
void pamt_set(struct tdxmod_pamt_entry *entry, enum tdxmod_page_type type, u64 owner);
void pamt_release(struct tdxmod_pamt_entry *entry);
u64 pamt_get(struct tdxmod_call *call, u64 pa, int level, enum tdxmod_operand operand,
	     enum tdxmod_page_type type, enum tdxmod_lock_mode mode,
	     struct tdxmod_pamt_entry **entryp);
u64 pamt_walk(struct tdxmod_call *call, u64 pa, enum tdxmod_operand operand,
	      enum tdxmod_lock_mode mode, struct tdxmod_pamt_entry **entryp, int *levelp);
u64 pamt_lock_mapped(struct tdxmod_call *call, u64 pa, int level,
		     struct tdxmod_pamt_entry **entryp);
void pamt_promote(struct tdxmod *mod, u64 pa, int level, struct tdxmod_pamt_entry *entry);
void pamt_demote(struct tdxmod *mod, u64 pa, int level, struct tdxmod_pamt_entry *entry);

/* sept.c */
struct sept_rule sept_judge(enum sept_op op, enum sept_state state);
void sept_init_table(const struct tdxmod *mod, u64 pa, int level);
struct sept_entry sept_read(const struct tdxmod *mod, u64 pa, int level);
void sept_write(const struct tdxmod *mod, u64 pa, int level, const struct sept_entry *entry);
bool sept_lock_entry(const struct tdxmod *mod, u64 pa, int level, bool guest,
		     struct sept_entry *entry);
void sept_unlock_entry(const struct tdxmod *mod, u64 pa);
void sept_walk(const struct tdxmod_td *td, u64 gpa, int level, struct sept_walk *walk);
bool sept_visit(const struct tdxmod_td *td, sept_visitor visit, void *arg);
void sept_details(struct tdxmod_call *call, const struct sept_walk *walk);
void sept_change(struct tdxmod *mod, struct sept_walk *walk, enum sept_op op,
		 enum sept_state state, u64 hpa, u16 progress);
void sept_view(const struct sept_entry *entry, int level, u64 *rcx, u64 *rdx);

/* td.c */
u64 td_get(struct tdxmod_call *call, u64 tdr, enum tdxmod_operand operand,
	   enum tdxmod_lock_mode mode);
u64 td_check(struct tdxmod_call *call, u32 op_states, enum tdxmod_lock_mode mode);
bool td_tracks(const struct tdxmod_td *td);
bool td_imports(const struct tdxmod_td *td);
bool td_tracked(struct tdxmod_td *td, u64 bepoch);
void td_delete(struct tdxmod_td *td);
u64 td_read_params(struct tdxmod_call *call, u64 pa);
u64 leaf_mng_create(struct tdxmod_call *call);
u64 leaf_mng_addcx(struct tdxmod_call *call);
u64 leaf_mng_init(struct tdxmod_call *call);
u64 leaf_mr_extend(struct tdxmod_call *call);
u64 leaf_mr_finalize(struct tdxmod_call *call);
u64 leaf_mem_track(struct tdxmod_call *call);

/* key.c */
u64 leaf_mng_key_config(struct tdxmod_call *call);
u64 leaf_mng_vpflushdone(struct tdxmod_call *call);
u64 leaf_mng_key_freeid(struct tdxmod_call *call);
u64 leaf_mng_key_reclaimid(struct tdxmod_call *call);
u64 leaf_phymem_cache_wb(struct tdxmod_call *call);
u64 key_check(const struct tdxmod *mod, u64 hkid);
u64 key_assign(struct tdxmod_call *call, u64 hkid);
void key_abandon(struct tdxmod *mod, u64 hkid);

/* vcpu.c */
u64 leaf_vp_create(struct tdxmod_call *call);
u64 leaf_vp_addcx(struct tdxmod_call *call);
u64 leaf_vp_init(struct tdxmod_call *call);
u64 leaf_vp_flush(struct tdxmod_call *call);
u64 leaf_vp_enter(struct tdxmod_call *call);

/* mem.c */
u64 leaf_mem_sept_add(struct tdxmod_call *call);
u64 leaf_mem_sept_remove(struct tdxmod_call *call);
u64 leaf_mem_sept_rd(struct tdxmod_call *call);
u64 leaf_mem_page_add(struct tdxmod_call *call);
u64 leaf_mem_page_aug(struct tdxmod_call *call);
u64 leaf_mem_page_remove(struct tdxmod_call *call);
u64 leaf_mem_page_relocate(struct tdxmod_call *call);
u64 leaf_mem_page_promote(struct tdxmod_call *call);
u64 leaf_mem_page_demote(struct tdxmod_call *call);
u64 leaf_mem_range_block(struct tdxmod_call *call);
u64 leaf_mem_range_unblock(struct tdxmod_call *call);
u64 leaf_mem_rd(struct tdxmod_call *call);
u64 leaf_mem_wr(struct tdxmod_call *call);

/* phymem.c */
u64 leaf_phymem_page_reclaim(struct tdxmod_call *call);
u64 leaf_phymem_page_rdmd(struct tdxmod_call *call);
u64 leaf_phymem_page_wbinvd(struct tdxmod_call *call);

/* measure.c */
void measure_start(struct tdxmod_td *td);
void measure_page(struct tdxmod_td *td, u64 gpa);
void measure_chunk(struct tdxmod_td *td, u64 gpa, const void *chunk);
void measure_end(struct tdxmod_td *td);

#define TDXMOD_CHUNK	256

/* guest.c */
bool guest_would_fault(const struct tdxmod_td *td, u64 gpa);

/* stat.c */
void stat_count(struct tdxmod *mod, unsigned int leaf, u64 status);

#endif /* _TDXMOD_INTERNAL_H */
