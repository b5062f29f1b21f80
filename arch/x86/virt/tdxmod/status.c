// SPDX-License-Identifier: GPL-2.0
/*
 * Names of statuses, and which of them tell that the caller has made a mistake.
 */
#include "internal.h"

enum { EXPECTED, MISUSE };

static const struct {
	u64 code;
	u8 kind;
	const char *name;
} statuses[] = {
#define STATUS_ROW(kind, name, value)	{ value, kind, #name },
	TDXMOD_STATUSES(STATUS_ROW)
#undef STATUS_ROW
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
 * A status that the module does not have is one, too.
 */
bool tdxmod_status_misuse(u64 status)
{
	int index = tdxmod_status_index(status);

	return index < 0 || statuses[index].kind == MISUSE;
}
