/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guests of walk.c and pause.c, copied to wherever they shall run.  The first makes
 * random accesses to 1G of memory.
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

/*
 * The second touches memory at equal distances, over and over, and notes the longest
 * time from one touch to the next.  Each touch adds one to what was 0 at first: all of
 * it has to be the number of the pass.
 *
 *	rdi	where the memory is
 *	rsi	from one touch to the next
 *	r12	touches in a pass
 *	r8	struct touched of pause.c: longest, passes, wrong, stop
 */
	.globl	touch_code
touch_code:
	xor	%r11, %r11
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, %r9
1:	mov	%rdi, %rbx
	mov	%r12, %rcx
2:	cmp	%r11, (%rbx)
	je	3f
	incq	16(%r8)
3:	incq	(%rbx)
	add	%rsi, %rbx
	rdtsc
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, %r10
	sub	%r9, %r10
	mov	%rax, %r9
	cmp	%r10, (%r8)
	jae	4f
	mov	%r10, (%r8)
4:	dec	%rcx
	jnz	2b
	inc	%r11
	mov	%r11, 8(%r8)
	cmpq	$0, 24(%r8)
	je	1b
5:	hlt
	jmp	5b

	.globl	touch_code_end
touch_code_end:

	.section .note.GNU-stack, "", @progbits
