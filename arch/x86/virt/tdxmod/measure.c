// SPDX-License-Identifier: GPL-2.0
/*
 * MRTD, the measurement of what a TD starts with: SHA-384 over blocks of 128 bytes.
 *
 * A page adds one block, with its address and without its content:
 *
 *	0..15   "MEM.PAGE.ADD", padded with zeroes
 *	16..23  guest physical address, little endian
 *	24..127 zeroes
 *
 * A chunk of 256 bytes that the host wants measured adds a block of the same form, with
 * "MR.EXTEND", and then its content.
 */
#include "internal.h"

#define MEASURE_BLOCK	128

static void measure_header(struct tdxmod_td *td, const char *what, u64 gpa)
{
	u8 block[MEASURE_BLOCK] = {};
	unsigned int i;

	for (i = 0; what[i]; i++)
		block[i] = what[i];
	for (i = 0; i < 8; i++)
		block[16 + i] = gpa >> (8 * i);
	tdxmod_sha384_add(td->digest, block, sizeof(block));
}

void measure_start(struct tdxmod_td *td)
{
	tdxmod_sha384_start(td->digest);
}

void measure_page(struct tdxmod_td *td, u64 gpa)
{
	measure_header(td, "MEM.PAGE.ADD", gpa);
}

void measure_chunk(struct tdxmod_td *td, u64 gpa, const void *chunk)
{
	measure_header(td, "MR.EXTEND", gpa);
	tdxmod_sha384_add(td->digest, chunk, TDXMOD_CHUNK);
}

void measure_end(struct tdxmod_td *td)
{
	tdxmod_sha384_end(td->digest, td->mrtd);
}
