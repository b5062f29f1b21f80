/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_H
#define _TDXMOD_H

/*
 * The software TDX module, from outside: what makes one, and its two faces,
 * SEAMCALL for the host and TDCALL for the guest.
 *
 * Numbers, registers, order of checks and statuses are those of Intel's module,
 * release 1.5.  See Documentation/arch/x86/tdxmod.rst for what is left out.
 */
#include "leaves.h"
#include "platform.h"
#include "status.h"

/**
 * struct tdxmod_regs - registers of a call, before and after it
 * @rax: leaf in bits 15:0, version in 23:16; then the status
 * @rcx: operand, result
 * @rdx: operand, result
 * @r8: operand, result
 * @r9: operand, result
 * @r10: operand, result
 * @r11: operand, result
 *
 * A register that a call does not define as output keeps its value.
 */
struct tdxmod_regs {
	u64 rax;
	u64 rcx;
	u64 rdx;
	u64 r8;
	u64 r9;
	u64 r10;
	u64 r11;
};

/**
 * struct tdxmod_exit - why a guest stops running
 * @reason: exit reason, 48 for an EPT violation
 * @qualification: exit qualification
 * @extended: extended exit qualification
 * @gpa: page aligned address, of an EPT violation
 * @status: other than success: the TD exits with this
 * @rip: where it stands
 * @private_access: an EPT violation of a private address, by an access of the guest
 */
struct tdxmod_exit {
	u64 reason;
	u64 qualification;
	u64 extended;
	u64 gpa;
	u64 status;
	u64 rip;
	bool private_access;
};

#define TDXMOD_EXIT_EPT_VIOLATION	48

/* An access of a guest, as in an exit qualification, and access that an entry allows. */
#define TDXMOD_ACCESS_READ		1
#define TDXMOD_ACCESS_WRITE		2
#define TDXMOD_ACCESS_EXECUTE		4

/* What becomes of a guest that has made a TDCALL, or touched private memory. */
enum tdxmod_outcome {
	/* goes on behind the instruction */
	TDXMOD_RETURN,
	/* executes the instruction again: an interrupt came first, or it may now succeed */
	TDXMOD_RESUME,
	/* leaves to the host */
	TDXMOD_EXIT,
	/* gets a virtualization exception */
	TDXMOD_VE,
	/* gets one while it had not read the information of the last: a double fault */
	TDXMOD_DOUBLE_FAULT,
};

#define TDXMOD_NR_STATUSES	45

/**
 * struct tdxmod_stats - what a module has been asked
 * @calls: by leaf and by status, see tdxmod_status_index()
 * @unknown: calls of leaves that the module does not have
 * @misuse: calls whose status a correct caller never sees, but for those that read:
 *          TDH.MEM.SEPT.RD, TDH.MEM.RD, TDH.MEM.WR and TDH.PHYMEM.PAGE.RDMD
 * @broken: inconsistencies that the module has found in itself
 */
struct tdxmod_stats {
	atomic64_t calls[TDXMOD_NR_LEAVES][TDXMOD_NR_STATUSES];
	atomic64_t unknown;
	atomic64_t misuse;
	atomic64_t broken;
};

extern const struct tdxmod_encoding tdxmod_ept;
extern const struct tdxmod_encoding tdxmod_npt;

struct tdxmod *tdxmod_create(const struct tdxmod_config *config);
void tdxmod_destroy(struct tdxmod *mod);
void tdxmod_shutdown(struct tdxmod *mod);

u64 tdxmod_seamcall(struct tdxmod *mod, struct tdxmod_regs *regs);
const char *tdxmod_leaf_name(unsigned int leaf);
const struct tdxmod_stats *tdxmod_stats(const struct tdxmod *mod);
int tdxmod_status_index(u64 status);
const char *tdxmod_status_name(int index);
bool tdxmod_status_misuse(u64 status);

struct tdxmod_td *tdxmod_find_td(struct tdxmod *mod, u64 tdr);
enum tdxmod_outcome tdxmod_tdcall(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
				  struct tdxmod_regs *regs, struct tdxmod_exit *exit);
enum tdxmod_outcome tdxmod_guest_access(struct tdxmod_td *td, struct tdxmod_vcpu *vcpu,
					u64 gpa, unsigned int access,
					struct tdxmod_exit *exit);
void tdxmod_ve_info_read(struct tdxmod_vcpu *vcpu);
bool tdxmod_epoch_enter(struct tdxmod_td *td, u64 *epoch, bool fresh, bool *flush);
void tdxmod_epoch_leave(struct tdxmod_td *td, u64 epoch);
#define TDXMOD_MRTD_BYTES	48

const u8 *tdxmod_td_mrtd(const struct tdxmod_td *td);

/**
 * struct tdxmod_page_info - what is known of a page
 * @type: enum tdxmod_page_type
 * @level: at which it is known
 * @owner: address of the TDR of the TD that has it, or had it last
 * @bepoch: TLB epoch in which it was blocked
 * @lock: the lock's value
 */
struct tdxmod_page_info {
	u8 type;
	int level;
	u64 owner;
	u64 bepoch;
	u16 lock;
};

bool tdxmod_page_info(const struct tdxmod *mod, u64 pa, int level,
		      struct tdxmod_page_info *info);

/**
 * struct tdxmod_place - where an address of private memory is
 * @tdr: address of the TDR of the TD
 * @gpa: guest physical address
 * @mapped: @gpa is known
 */
struct tdxmod_place {
	u64 tdr;
	u64 gpa;
	bool mapped;
};

bool tdxmod_find_page(const struct tdxmod *mod, u64 pa, struct tdxmod_place *place);
bool tdxmod_check(struct tdxmod *mod);

#endif /* _TDXMOD_H */
