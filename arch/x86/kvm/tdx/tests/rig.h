/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_TDX_TESTS_RIG_H
#define __KVM_X86_TDX_TESTS_RIG_H

/*
 * A TD for tests of the S-EPT, on the software module: who needs no VM and no guest file,
 * because the test is the store of its pages, and plays the guest.
 */
#include <kunit/test.h>

#include "../sept_mirror.h"
#include "../td.h"
#include "../../../virt/tdxmod/tdxmod.h"

/**
 * struct rig - a TD under test
 * @td: the TD
 * @vcpu: its only vCPU
 * @test: whose it is
 * @mod: the module
 * @kicks: calls of sept_ops.kick
 * @holds: calls of sept_ops.hold that are not undone
 * @full: calls of sept_ops.full
 * @broken: calls of sept_ops.broken
 * @misuse: the module's counter when the test began
 */
struct rig {
	struct td td;
	struct td_vcpu vcpu;
	struct kunit *test;
	struct tdxmod *mod;
	unsigned int kicks;
	int holds;
	unsigned int full;
	unsigned int broken;
	s64 misuse;
};

struct rig *rig_create(struct kunit *test);
void rig_destroy(struct rig *rig);
void rig_finalize(struct rig *rig);
int rig_map(struct rig *rig, gfn_t gfn, unsigned long pfn, int level);
void rig_unmap(struct rig *rig, gfn_t start, gfn_t end);
void rig_block(struct rig *rig, gfn_t start, gfn_t end);
void rig_unblock(struct rig *rig, gfn_t start, gfn_t end);
bool rig_accept(struct rig *rig, gfn_t gfn, int level);
u64 rig_read(unsigned long pfn);
void rig_write(unsigned long pfn, u64 value);
void rig_check(struct rig *rig, gfn_t start, gfn_t end);
s64 rig_calls(struct rig *rig, enum tdxmod_leaf leaf);

#endif /* __KVM_X86_TDX_TESTS_RIG_H */
