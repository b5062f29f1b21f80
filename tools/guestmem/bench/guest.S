/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of walk.c, copied to wherever it shall run: random accesses to 1G of
 * memory.
 *
 *	rdi	where the memory is
 *	rsi	how many accesses
 *	rax	any number, where the sequence starts
 *
 * Bits 63 to 34 of a linear congruential sequence are the offset: 30 bits, which
 * is 1G, of which the lowest three are dropped.
 */
	.section .rodata
	.code64

	.globl	walk_code
walk_code:
	mov	$6364136223846793005, %rbx
	mov	$1442695040888963407, %rdx
1:	imul	%rbx, %rax
	add	%rdx, %rax
	mov	%rax, %rcx
	shr	$34, %rcx
	and	$-8, %rcx
	mov	(%rdi, %rcx), %r8
	dec	%rsi
	jnz	1b
2:	hlt
	jmp	2b

	.globl	walk_code_end
walk_code_end:

	.section .note.GNU-stack, "", @progbits
