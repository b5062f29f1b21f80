/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entry of the default guest, and all of it that lives in shared memory.
 *
 * The host loads the guest where it can write, in shared memory.  The first
 * vCPU asks for the guest's home to be made private, copies code and data
 * there, clears the rest, and lets the others follow.  From then on code, data
 * and stacks are private; what stays here are the instructions that leave the
 * guest, because KVM may have to read them (see guest/abi.h).
 */

#include "abi.h"

#define KVM_HC_MAP_GPA_RANGE	12
#define MAP_GPA_PRIVATE		(1 << 4)
#define STACK_SHIFT		14

	.section .head, "awx"
	.code64

	.globl	start
start:
	mov	%rdi, %r12
	mov	%rsi, %r13
	test	%rsi, %rsi
	jnz	wait_for_home

	/* Intel has VMCALL, everybody else VMMCALL */
	xor	%eax, %eax
	cpuid
	cmp	$0x756e6547, %ebx
	sete	has_vmcall(%rip)

	mov	$home_start, %rdi
	mov	$home_size, %rsi
	shr	$12, %rsi
	mov	$MAP_GPA_PRIVATE, %edx
	lea	start_stack(%rip), %rsp
	call	map_gpa_range
	test	%rax, %rax
	jnz	no_home

	cld
	mov	$load_start, %rsi
	mov	$home_start, %rdi
	mov	$load_size, %rcx
	rep movsb
	mov	$clear_size, %rcx
	xor	%eax, %eax
	rep stosb

	movb	$1, home_ready(%rip)
	jmp	go_home

wait_for_home:
	pause
	cmpb	$0, home_ready(%rip)
	je	wait_for_home

go_home:
	lea	1(%r13), %rax
	shl	$STACK_SHIFT, %rax
	lea	stacks(%rax), %rsp
	mov	%r12, %rdi
	mov	%r13, %rsi
	mov	$guest_main, %rax
	call	*%rax
	/* A guest without its home, or done: nothing is left to run */
no_home:
	hlt
	jmp	no_home

	/* long map_gpa_range(gpa, pages, attributes) */
	.globl	map_gpa_range
map_gpa_range:
	push	%rbx
	mov	$KVM_HC_MAP_GPA_RANGE, %eax
	mov	%rdi, %rbx
	mov	%rsi, %rcx
	cmpb	$0, has_vmcall(%rip)
	jne	1f
	vmmcall
	pop	%rbx
	ret
1:	vmcall
	pop	%rbx
	ret

	/* void vmm_call(call): struct guest_mailbox is filled in */
	.globl	vmm_call
vmm_call:
	mov	%edi, %eax
	mov	$GUEST_PORT_CALL, %edx
	out	%eax, %dx
	ret

	/* void vmm_putc(c) */
	.globl	vmm_putc
vmm_putc:
	mov	%edi, %eax
	mov	$GUEST_PORT_CONSOLE, %edx
	out	%al, %dx
	ret

	/* Two words: what map_gpa_range needs before there is a private stack */
	.balign	8
	.fill	2, 8, 0
start_stack:
has_vmcall:
	.byte	0
home_ready:
	.byte	0

	.section .bss
	.balign	4096
stacks:
	.fill	GUEST_MAX_VCPUS << STACK_SHIFT, 1, 0

	.section .note.GNU-stack, "", @progbits
