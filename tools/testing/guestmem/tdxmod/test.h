/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TDXMOD_TEST_H
#define _TDXMOD_TEST_H

/*
 * Tests of the software TDX module.  A test is a function; it goes on after a CHECK() that
 * fails, and has failed then.  Each has a machine of its own.
 */
#include "internal.h"
#include "machine.h"

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(function)	{ #function, function }

extern const struct test sept_tests[], life_tests[];

void test_failed(const char *file, int line, const char *what, u64 got, u64 expected);

#define CHECK(condition)							\
	do {									\
		if (!(condition))						\
			test_failed(__FILE__, __LINE__, #condition, 0, 1);	\
	} while (0)
#define CHECK_EQ(got, expected)							\
	do {									\
		u64 got_ = (got), expected_ = (expected);			\
										\
		if (got_ != expected_)						\
			test_failed(__FILE__, __LINE__, #got, got_, expected_);	\
	} while (0)

/* --- a machine with a TD --------------------------------------------------- */

/* Where things are.  Control pages and tables are in the first gigabyte. */
#define TDR		0x100000000ULL
#define TDCX		0x100001000ULL
#define TDVPR		0x100100000ULL
#define TABLES		0x100200000ULL
#define PAGES		0x108000000ULL
#define LARGE_PAGES	0x110000000ULL
#define HUGE_PAGE	0x140000000ULL
#define PARAMS		0x10000ULL
#define SOURCE		0x20000ULL
#define HKID		0x21

extern struct tdxmod *mod;
extern struct tdxmod_regs last;

u64 call(u64 rax, u64 rcx, u64 rdx, u64 r8, u64 r9);
u64 accept_page(u64 gpa_level, struct tdxmod_exit *exit);
void machine_start(const struct tdxmod_config *config);
void machine_stop(void);
void machine_drop(void);
void td_create(void);
void td_params(u64 attributes);
void td_init(void);
void td_tables(u64 gpa, int level);
void td_vcpu(u64 tdvpr);
void td_run(void);
u64 td_entry(u64 gpa, int level);
struct tdxmod_td *the_td(void);

#define TD_DEBUG	1ULL

#endif /* _TDXMOD_TEST_H */
