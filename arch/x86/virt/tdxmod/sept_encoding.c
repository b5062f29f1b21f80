// SPDX-License-Identifier: GPL-2.0
/*
 * How S-EPT entries look in memory.
 *
 * The rest of the module knows states; which bits stand for them is decided here, and
 * there are two answers.
 *
 * tdxmod_ept: as the TDX module has them, for EPT.
 *
 *	 2:0  access          9     D     code bit 0	55     TDB    code bit 3
 *	 5:3  memory type     11    lock		56     TDP    code bit 4
 *	 6    IPAT, bit 5     51:12 address		63     suppress #VE
 *	 7    PS,   bit 6     52    host priority
 *	 8    A               53    TDEX  code bit 1
 *	                      54    TDBW  code bit 2
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
#define EPT_WB			(6ULL << 3)
#define EPT_IPAT		BIT_ULL(6)
#define EPT_PS			BIT_ULL(7)
#define EPT_LOCK		BIT_ULL(11)
#define EPT_HOST		BIT_ULL(52)
#define EPT_SUPPRESS_VE		BIT_ULL(63)

#define EPT_STATE_BITS(code)						\
	(((code) & 0x01ULL) << 9 | ((code) & 0x1eULL) << 52 | ((code) & 0x60ULL) << 1)
#define EPT_RAW(code, rwx, props)					\
	(EPT_SUPPRESS_VE | EPT_STATE_BITS(code) | (rwx) |		\
	 ((props) & SEPT_LEAF ? EPT_WB : 0))

/* What has been seen of the real module. */
static_assert(EPT_RAW(0x0eULL, 0, 0) == 0x80e0000000000000ULL);
static_assert((EPT_RAW(0x60ULL, 7, SEPT_LEAF) | 0x100600000ULL) == 0x80000001006000f7ULL);
static_assert((EPT_RAW(0x68ULL, 0, SEPT_LEAF) | 0x100600000ULL) == 0x80800001006000f0ULL);
static_assert((EPT_RAW(0x70ULL, 0, SEPT_LEAF) | 0x100600000ULL) == 0x81000001006000f0ULL);
static_assert((EPT_RAW(0x78ULL, 0, SEPT_LEAF) | 0x100600000ULL) == 0x81800001006000f0ULL);
static_assert((EPT_RAW(0x00ULL, 7, 0) | 0x100500000ULL) == 0x8000000100500007ULL);
static_assert((EPT_RAW(0x08ULL, 0, 0) | 0x100500000ULL) == 0x8080000100500000ULL);

/* A page is IPAT and PS; nothing else is. */
#define ASSERT_LEAF(name, code, arch, rwx, props, child)		\
	static_assert(((props) & SEPT_LEAF ? 0x60 : 0) == ((code) & 0x60));
SEPT_STATES(ASSERT_LEAF)
#undef ASSERT_LEAF

#define EPT_CODES		128

static const u8 ept_state_of_code[EPT_CODES] = {
#define STATE_OF_CODE(name, code, arch, rwx, props, child)	[code] = SEPT_##name + 1,
	SEPT_STATES(STATE_OF_CODE)
#undef STATE_OF_CODE
};

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
	const struct sept_state_info *info = &sept_states[entry->state];

	return EPT_RAW(info->code, info->rwx, info->props) | address_of(entry) |
	       (entry->locked ? EPT_LOCK : 0) | (entry->host_first ? EPT_HOST : 0);
}

static struct sept_entry ept_decode(u64 raw, int level)
{
	u8 code = (raw >> 9 & 0x01) | (raw >> 52 & 0x1e) | (raw >> 1 & 0x60);
	struct sept_entry entry = {
		.state = SEPT_GARBAGE,
		.locked = raw & EPT_LOCK,
		.host_first = raw & EPT_HOST,
	};

	if (!ept_state_of_code[code])
		return entry;
	entry.state = ept_state_of_code[code] - 1;
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

static_assert(SEPT_NR_STATES <= NPT_STATE >> NPT_STATE_SHIFT);

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
	struct sept_entry seen = *entry;
	u64 raw;

	*rdx = level | (u64)sept_states[entry->state].arch << 8;
	seen.locked = false;
	seen.host_first = false;
	raw = ept_encode(&seen, level);
	if (entry->state == SEPT_FREE)
		*rcx = EPT_SUPPRESS_VE;
	else if (sept_is(entry, SEPT_LEAF))
		*rcx = raw & (EPT_SUPPRESS_VE | ADDRESS | EPT_PS | EPT_IPAT | GENMASK_ULL(5, 0));
	else
		*rcx = sept_rwx(entry);
}
