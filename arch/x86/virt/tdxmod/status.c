// SPDX-License-Identifier: GPL-2.0
/*
 * Names of statuses, and which of them tell that the caller has made a mistake.
 */
#include "internal.h"

/*
 * EXPECTED: part of normal operation, a correct consumer handles it.
 * MISUSE: a correct consumer never sees it.  It has lost track of the state of a page, a
 * TD or a vCPU, or has passed nonsense.
 */
enum { EXPECTED, MISUSE };

#define STATUS(_kind, _name)	{ .code = TDX_##_name, .kind = _kind, .name = #_name }

static const struct {
	u64 code;
	u8 kind;
	const char *name;
} statuses[] = {
	STATUS(EXPECTED, SUCCESS),
	STATUS(EXPECTED, NON_RECOVERABLE_TD),
	STATUS(EXPECTED, INTERRUPTED_RESUMABLE),
	STATUS(EXPECTED, INTERRUPTED_RESTARTABLE),
	STATUS(MISUSE, OPERAND_INVALID),
	STATUS(MISUSE, OPERAND_ADDR_RANGE_ERROR),
	STATUS(EXPECTED, OPERAND_BUSY),
	STATUS(EXPECTED, PREVIOUS_TLB_EPOCH_BUSY),
	STATUS(EXPECTED, RND_NO_ENTROPY),
	STATUS(EXPECTED, OPERAND_BUSY_HOST_PRIORITY),
	STATUS(EXPECTED, HOST_PRIORITY_BUSY_TIMEOUT),
	STATUS(MISUSE, PAGE_METADATA_INCORRECT),
	STATUS(MISUSE, TD_ASSOCIATED_PAGES_EXIST),
	STATUS(MISUSE, SYS_NOT_READY),
	STATUS(MISUSE, SYS_SHUTDOWN),
	STATUS(EXPECTED, TD_FATAL),
	STATUS(MISUSE, TD_NON_DEBUG),
	STATUS(MISUSE, TDCS_NOT_ALLOCATED),
	STATUS(MISUSE, LIFECYCLE_STATE_INCORRECT),
	STATUS(MISUSE, OP_STATE_INCORRECT),
	STATUS(MISUSE, NO_VCPUS),
	STATUS(MISUSE, TDCX_NUM_INCORRECT),
	STATUS(MISUSE, VCPU_STATE_INCORRECT),
	STATUS(MISUSE, VCPU_ASSOCIATED),
	STATUS(EXPECTED, VCPU_NOT_ASSOCIATED),
	STATUS(MISUSE, MAX_VCPUS_EXCEEDED),
	STATUS(MISUSE, TD_KEYS_NOT_CONFIGURED),
	STATUS(EXPECTED, KEY_CONFIGURED),
	STATUS(MISUSE, WBCACHE_NOT_COMPLETE),
	STATUS(MISUSE, HKID_NOT_FREE),
	STATUS(EXPECTED, NO_HKID_READY_TO_WBCACHE),
	STATUS(MISUSE, WBCACHE_RESUME_ERROR),
	STATUS(MISUSE, FLUSHVP_NOT_DONE),
	STATUS(EXPECTED, TDMR_ALREADY_INITIALIZED),
	STATUS(MISUSE, EPT_WALK_FAILED),
	STATUS(MISUSE, EPT_ENTRY_NOT_PRESENT),
	STATUS(MISUSE, GPA_RANGE_NOT_BLOCKED),
	STATUS(MISUSE, GPA_RANGE_ALREADY_BLOCKED),
	STATUS(MISUSE, TLB_TRACKING_NOT_DONE),
	STATUS(EXPECTED, EPT_INVALID_PROMOTE_CONDITIONS),
	STATUS(EXPECTED, PAGE_ALREADY_ACCEPTED),
	STATUS(EXPECTED, PAGE_SIZE_MISMATCH),
	STATUS(MISUSE, EPT_ENTRY_STATE_INCORRECT),
	STATUS(MISUSE, EPT_PAGE_NOT_FREE),
	STATUS(MISUSE, PAGE_ATTR_INVALID),
};

static_assert(ARRAY_SIZE(statuses) == TDXMOD_NR_STATUSES);

/**
 * tdxmod_status_index - the place of a status in tables of all statuses
 * @status: with or without its detail
 *
 * Return: 0 to TDXMOD_NR_STATUSES - 1, or -1 if the module has no such status.
 */
int tdxmod_status_index(u64 status)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		if (statuses[i].code == (status & ~TDX_STATUS_DETAIL))
			return i;
	}
	return -1;
}

/**
 * tdxmod_status_name - the name of a status
 * @index: its place, see tdxmod_status_index()
 *
 * Return: the name without "TDX_", or NULL behind the last one.
 */
const char *tdxmod_status_name(int index)
{
	return index < (int)ARRAY_SIZE(statuses) ? statuses[index].name : NULL;
}

/**
 * tdxmod_status_misuse - does a status tell of a mistake of the caller?
 * @status: with or without its detail
 *
 * Return: true also for a status that the module does not have.
 */
bool tdxmod_status_misuse(u64 status)
{
	int index = tdxmod_status_index(status);

	return index < 0 || statuses[index].kind == MISUSE;
}
