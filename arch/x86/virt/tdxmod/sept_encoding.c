// SPDX-License-Identifier: GPL-2.0
/*
 * How S-EPT entries look in memory.
 *
 * The rest of the module knows states; which bits stand for them is decided here, and
 * there are two answers.
 *
 * tdxmod_ept: as the TDX module has them, for EPT.
 *
 *	 2:0  access          11    lock            54    TDBW: blocked for writing
 *	 5:3  memory type     51:12 address         55    TDB: blocked
 *	 6    IPAT, a page    52    host priority   56    TDP: pending
 *	 7    PS, a page      53    TDEX: exported  63    suppress #VE, always
 *	 9    D: dirty
 *
 * tdxmod_npt: as AMD's nested page tables have them, so that the page walker of a CPU
 * with SVM can use a table as it is.  Present is what the guest may read; the state is
 * in bits that the CPU ignores.
 *
 *	 0    present         5     A	   set by the CPU
 *	 1    writable        6     D	   set by the CPU
 *	 2    user, always    7     PS, of a page that is not 4K
 *	11    lock            51:12 address
 *	56:52 state + 1       57    host priority
 *
 * There is no state 0, so a page of zeroes is not a table of free entries.
 *
 * In both the address of a 2M page leaves bits 20:12 for the progress of ACCEPT.
 */
#include "internal.h"

#define ADDRESS			GENMASK_ULL(51, 12)
#define PROGRESS		GENMASK_ULL(20, 12)

/* EPT */
#define EPT_RWX			GENMASK_ULL(2, 0)
#define EPT_WB			(6ULL << 3)
#define EPT_IPAT		BIT_ULL(6)
#define EPT_PS			BIT_ULL(7)
#define EPT_D			BIT_ULL(9)
#define EPT_LOCK		BIT_ULL(11)
#define EPT_HOST		BIT_ULL(52)
#define EPT_TDEX		BIT_ULL(53)
#define EPT_TDBW		BIT_ULL(54)
#define EPT_TDB			BIT_ULL(55)
#define EPT_TDP			BIT_ULL(56)
#define EPT_SUPPRESS_VE		BIT_ULL(63)

/* a page, of any size */
#define EPT_PAGE		(EPT_WB | EPT_IPAT | EPT_PS)
/* what tells one state from another */
#define EPT_STATE		(EPT_IPAT | EPT_PS | EPT_D |			\
				 EPT_TDEX | EPT_TDBW | EPT_TDB | EPT_TDP)

static const u64 ept_bits[SEPT_NR_STATES] = {
	[SEPT_FREE]				= EPT_TDB | EPT_TDBW | EPT_TDEX,
	[SEPT_REMOVED]				= EPT_TDB | EPT_TDBW,
	[SEPT_NL_MAPPED]			= 0,
	[SEPT_NL_BLOCKED]			= EPT_TDB,
	[SEPT_MAPPED]				= EPT_PAGE,
	[SEPT_BLOCKED]				= EPT_PAGE | EPT_TDB,
	[SEPT_PENDING]				= EPT_PAGE | EPT_TDP,
	[SEPT_PENDING_BLOCKED]			= EPT_PAGE | EPT_TDP | EPT_TDB,
	[SEPT_BLOCKEDW]				= EPT_PAGE | EPT_TDBW,
	[SEPT_EXPORTED_BLOCKEDW]		= EPT_PAGE | EPT_TDBW | EPT_TDEX,
	[SEPT_EXPORTED_DIRTY]			= EPT_PAGE | EPT_TDEX | EPT_D,
	[SEPT_EXPORTED_DIRTY_BLOCKEDW]		= EPT_PAGE | EPT_TDBW | EPT_TDEX | EPT_D,
	[SEPT_PENDING_BLOCKEDW]			= EPT_PAGE | EPT_TDP | EPT_TDBW,
	[SEPT_PENDING_EXPORTED_BLOCKEDW]	= EPT_PAGE | EPT_TDP | EPT_TDBW | EPT_TDEX,
	[SEPT_PENDING_EXPORTED_DIRTY]		= EPT_PAGE | EPT_TDP | EPT_TDEX | EPT_D,
	[SEPT_PENDING_EXPORTED_DIRTY_BLOCKEDW]	= EPT_PAGE | EPT_TDP | EPT_TDBW | EPT_TDEX | EPT_D,
};

/* What has been seen of the real module: free, mapped, blocked, pending, a table. */
static_assert((EPT_SUPPRESS_VE | EPT_TDB | EPT_TDBW | EPT_TDEX) == 0x80e0000000000000ULL);
static_assert((EPT_SUPPRESS_VE | EPT_PAGE | EPT_RWX) == 0x80000000000000f7ULL);
static_assert((EPT_SUPPRESS_VE | EPT_PAGE | EPT_TDB) == 0x80800000000000f0ULL);
static_assert((EPT_SUPPRESS_VE | EPT_PAGE | EPT_TDP) == 0x81000000000000f0ULL);
static_assert((EPT_SUPPRESS_VE | EPT_RWX) == 0x8000000000000007ULL);

static u64 address_of(const struct sept_entry *entry)
{
	return entry->hpa | (u64)entry->progress << 12;
}

/* Split the address field of a state that has one. */
static void decode_address(struct sept_entry *entry, u64 raw, int level)
{
	if (sept_is(entry, SEPT_TABLE)) {
		entry->hpa = raw & ADDRESS;
	} else if (sept_is(entry, SEPT_LEAF)) {
		entry->hpa = raw & ADDRESS;
		if (level > TDXMOD_LEVEL_4K) {
			entry->hpa &= ~PROGRESS;
			entry->progress = (raw & PROGRESS) >> 12;
		}
	}
}

static u64 ept_encode(const struct sept_entry *entry, int level)
{
	return EPT_SUPPRESS_VE | ept_bits[entry->state] | sept_rwx(entry) | address_of(entry) |
	       (entry->locked ? EPT_LOCK : 0) | (entry->host_first ? EPT_HOST : 0);
}

static struct sept_entry ept_decode(u64 raw, int level)
{
	struct sept_entry entry = {
		.locked = raw & EPT_LOCK,
		.host_first = raw & EPT_HOST,
	};

	while (entry.state < SEPT_NR_STATES && (ept_bits[entry.state] ^ raw) & EPT_STATE)
		entry.state++;
	if (entry.state == SEPT_GARBAGE)
		return entry;
	decode_address(&entry, raw, level);
	if (ept_encode(&entry, level) != raw)
		entry.state = SEPT_GARBAGE;
	return entry;
}

const struct tdxmod_encoding tdxmod_ept = {
	.name		= "EPT",
	.lock_bit	= EPT_LOCK,
	.host_bit	= EPT_HOST,
	.encode		= ept_encode,
	.decode		= ept_decode,
};

/* Nested page tables */
#define NPT_PRESENT		BIT_ULL(0)
#define NPT_WRITE		BIT_ULL(1)
#define NPT_USER		BIT_ULL(2)
#define NPT_ACCESSED		BIT_ULL(5)
#define NPT_DIRTY		BIT_ULL(6)
#define NPT_PS			BIT_ULL(7)
#define NPT_LOCK		BIT_ULL(11)
#define NPT_STATE_SHIFT		52
#define NPT_STATE		GENMASK_ULL(56, 52)
#define NPT_HOST		BIT_ULL(57)

static_assert(NPT_STATE >> NPT_STATE_SHIFT >= SEPT_NR_STATES);

static u64 npt_encode(const struct sept_entry *entry, int level)
{
	u64 raw = (entry->state + 1ULL) << NPT_STATE_SHIFT | address_of(entry);

	if (sept_rwx(entry))
		raw |= NPT_PRESENT | NPT_USER;
	if (sept_rwx(entry) & 2)
		raw |= NPT_WRITE;
	if (sept_is(entry, SEPT_LEAF) && level > TDXMOD_LEVEL_4K)
		raw |= NPT_PS;
	return raw | (entry->locked ? NPT_LOCK : 0) | (entry->host_first ? NPT_HOST : 0);
}

static struct sept_entry npt_decode(u64 raw, int level)
{
	unsigned int number = (raw & NPT_STATE) >> NPT_STATE_SHIFT;
	struct sept_entry entry = {
		.state = SEPT_GARBAGE,
		.locked = raw & NPT_LOCK,
		.host_first = raw & NPT_HOST,
	};

	if (!number || number > SEPT_NR_STATES)
		return entry;
	entry.state = number - 1;
	decode_address(&entry, raw, level);
	if (npt_encode(&entry, level) != (raw & ~tdxmod_npt.ignored))
		entry.state = SEPT_GARBAGE;
	return entry;
}

const struct tdxmod_encoding tdxmod_npt = {
	.name		= "nested page tables",
	.lock_bit	= NPT_LOCK,
	.host_bit	= NPT_HOST,
	.ignored	= NPT_ACCESSED | NPT_DIRTY,
	.encode		= npt_encode,
	.decode		= npt_decode,
};

/* What calls report of an entry: always in the form of EPT, and not all of it. */
void sept_view(const struct sept_entry *entry, int level, u64 *rcx, u64 *rdx)
{
	*rdx = level | (u64)sept_states[entry->state].arch << 8;
	if (entry->state == SEPT_FREE)
		*rcx = EPT_SUPPRESS_VE;
	else if (sept_is(entry, SEPT_LEAF))
		*rcx = EPT_SUPPRESS_VE | EPT_PAGE | sept_rwx(entry) | address_of(entry);
	else
		*rcx = sept_rwx(entry);
}
