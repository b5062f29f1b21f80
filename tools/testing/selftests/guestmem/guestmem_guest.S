/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of the guestmem selftests: one piece of code for each command of
 * enum guest_op, see guest_do() in guestmem_util.c.
 *
 * It runs without paging, in protected mode with flat segments: a linear address
 * is a guest physical address. Each command ends in HLT, which exits to user
 * space as there is no interrupt controller in the kernel.
 *
 *	edi	address		ecx	dwords		eax, ebx	value
 *	edx	out: 0, or 1 and edi is the address that differs
 */
	.section .rodata
	.globl	guest_code, guest_code_end, guest_fill, guest_check
	.globl	guest_stamp, guest_verify, guest_verify_or_zero
	.code32
guest_code:
guest_fill:
	cld
	rep stosl
	hlt

guest_check:
	cmpl	%eax, (%edi)
	jne	guest_differs
	addl	$4, %edi
	decl	%ecx
	jnz	guest_check
	hlt

guest_stamp:
	movl	%edi, %eax
	xorl	%ebx, %eax
	movl	%eax, (%edi)
	addl	$4, %edi
	decl	%ecx
	jnz	guest_stamp
	hlt

guest_verify:
	movl	%edi, %eax
	xorl	%ebx, %eax
	cmpl	%eax, (%edi)
	jne	guest_differs
	addl	$4, %edi
	decl	%ecx
	jnz	guest_verify
	hlt

guest_verify_or_zero:
	movl	%edi, %eax
	xorl	%ebx, %eax
	movl	(%edi), %esi
	testl	%esi, %esi
	jz	1f
	cmpl	%eax, %esi
	jne	guest_differs
1:	addl	$4, %edi
	decl	%ecx
	jnz	guest_verify_or_zero
	hlt

guest_differs:
	incl	%edx
	hlt
guest_code_end:
	.section .note.GNU-stack, "", @progbits
