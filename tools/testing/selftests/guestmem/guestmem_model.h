/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory that is punched, populated and converted at random while two vCPUs use
 * it, and a model of what has to be in it then: for selftests that do something else to
 * the memory at the same time, which the guest must not notice.
 */
#ifndef GUESTMEM_MODEL_H
#define GUESTMEM_MODEL_H

#include "guestmem_huge.h"

/**
 * struct model - what the pages of a guest file have to be
 * @vm: two vCPUs
 * @fd: the file, its first page is at @gpa
 * @gpa: where it is in the guest
 * @pages: how many are in use
 * @shared: shared memory at the same addresses
 * @private: the page is private
 * @punched: it was punched in this round
 * @random: state of the generator
 * @punches: calls of punch
 * @refused: those that returned EAGAIN or ENOMEM, and may
 * @bad: what went wrong in a round, for people
 */
struct model {
	struct vm *vm;
	int fd;
	__u64 gpa;
	int pages;
	char *shared;
	bool *private;
	bool *punched;
	unsigned int random;
	long punches, refused;
	char bad[128];
};

int model_open(struct model *m, struct vm *vm, int fd, __u64 gpa, off_t size, char *shared);
void model_close(struct model *m);
const char *model_round(struct model *m, bool new_folios);

#endif /* GUESTMEM_MODEL_H */
