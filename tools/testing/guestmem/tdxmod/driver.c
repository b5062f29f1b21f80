// SPDX-License-Identifier: GPL-2.0
/*
 * tdxmod-driver: the software TDX module, a line at a time.
 *
 * Reads commands from standard input and answers each with one line, at once.  All
 * numbers are hexadecimal without 0x, but for the type of a page.
 *
 *   s LEAF|VERSION<<16 RCX RDX R8 R9	SEAMCALL, with R10 and R11 all ones
 *					-> RAX RCX RDX R8 R9 R10 R11
 *   a TDR GPA|LEVEL			TDG.MEM.PAGE.ACCEPT -> RAX RCX RDX R8 R9 intr=0|1
 *   e TDR VCPU NEW			a vCPU enters; NEW: from no LP -> ok
 *   l TDR VCPU				it leaves -> ok
 *   i N				an interrupt comes after N polls -> ok
 *   w PA VALUE, r PA			a word of memory -> ok, VALUE
 *   p PA LEVEL				metadata -> pt= owner= bepoch= lock=, or none
 *   m TDR				-> measurement, or none
 *   c					is the module consistent? -> ok
 *
 * Where the guest leaves to the host, "a" shows RAX e0000000000000ee and then exit
 * reason, exit qualification, extended exit qualification and address.
 */
#include "machine.h"

#define LINE_BYTES	256
#define MAX_VCPUS	64
#define MAX_NUMBERS	5

#define SHOWN_EXIT	0xe0000000000000eeULL

/* The driver's vCPUs are numbers: epochs, and no more. */
struct vcpu {
	u64 tdr;
	u64 number;
	u64 epoch;
};

static struct vcpu vcpus[MAX_VCPUS];
static unsigned int nr_vcpus;

static struct vcpu *get_vcpu(u64 tdr, u64 number)
{
	unsigned int i;

	for (i = 0; i < nr_vcpus; i++) {
		if (vcpus[i].tdr == tdr && vcpus[i].number == number)
			return &vcpus[i];
	}
	if (nr_vcpus == MAX_VCPUS)
		return NULL;
	vcpus[nr_vcpus] = (struct vcpu) { .tdr = tdr, .number = number };
	return &vcpus[nr_vcpus++];
}

static void seamcall(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_regs regs = {
		.rax = n[0], .rcx = n[1], .rdx = n[2], .r8 = n[3], .r9 = n[4],
		.r10 = ~0ULL, .r11 = ~0ULL,
	};

	tdxmod_seamcall(mod, &regs);
	printf("%llx %llx %llx %llx %llx %llx %llx\n", regs.rax, regs.rcx, regs.rdx,
	       regs.r8, regs.r9, regs.r10, regs.r11);
}

/* Registers that ACCEPT returns nothing in are shown as 0. */
static void accept_page(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_td *td = tdxmod_find_td(mod, n[0]);
	struct tdxmod_regs regs = { .rax = TDG_MEM_PAGE_ACCEPT, .rcx = n[1] };
	struct tdxmod_exit exit;
	enum tdxmod_outcome outcome;

	if (!td) {
		puts("none");
		return;
	}
	outcome = tdxmod_tdcall(td, NULL, &regs, &exit);
	if (outcome == TDXMOD_EXIT)
		printf("%llx %llx %llx %llx %llx intr=0\n", SHOWN_EXIT, exit.reason,
		       exit.qualification, exit.extended, exit.gpa);
	else
		printf("%llx 0 0 0 0 intr=%d\n",
		       outcome == TDXMOD_RESUME ? TDX_SUCCESS : regs.rax,
		       outcome == TDXMOD_RESUME);
}

static void enter(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_td *td = tdxmod_find_td(mod, n[0]);
	struct vcpu *vcpu = get_vcpu(n[0], n[1]);
	bool flush;

	if (td && vcpu)
		tdxmod_epoch_enter(td, &vcpu->epoch, n[2], &flush);
	puts("ok");
}

static void leave(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_td *td = tdxmod_find_td(mod, n[0]);
	struct vcpu *vcpu = get_vcpu(n[0], n[1]);

	if (td && vcpu)
		tdxmod_epoch_leave(td, vcpu->epoch);
	puts("ok");
}

static void interrupt(struct tdxmod *mod, const u64 *n)
{
	(void)mod;
	sim.polls = n[0];
	puts("ok");
}

static void write_word(struct tdxmod *mod, const u64 *n)
{
	(void)mod;
	sim_write64(n[0], n[1]);
	puts("ok");
}

static void read_word(struct tdxmod *mod, const u64 *n)
{
	(void)mod;
	printf("%llx\n", sim_read64(n[0]));
}

static void page_info(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_page_info info;

	if (tdxmod_page_info(mod, n[0], n[1] > 2 ? -1 : (int)n[1], &info))
		printf("pt=%u owner=%llx bepoch=%llx lock=%x\n", info.type, info.owner,
		       info.bepoch, info.lock);
	else
		puts("none");
}

static void measurement(struct tdxmod *mod, const u64 *n)
{
	struct tdxmod_td *td = tdxmod_find_td(mod, n[0]);
	unsigned int i;

	if (!td) {
		puts("none");
		return;
	}
	for (i = 0; i < TDXMOD_MRTD_BYTES; i++)
		printf("%02x", tdxmod_td_mrtd(td)[i]);
	puts("");
}

static void check(struct tdxmod *mod, const u64 *n)
{
	(void)n;
	puts(tdxmod_check(mod) ? "ok" : "inconsistent");
}

static const struct {
	char name;
	unsigned int numbers;
	void (*run)(struct tdxmod *mod, const u64 *n);
} commands[] = {
	{ 's', 5, seamcall },
	{ 'a', 2, accept_page },
	{ 'e', 3, enter },
	{ 'l', 2, leave },
	{ 'i', 1, interrupt },
	{ 'w', 2, write_word },
	{ 'r', 1, read_word },
	{ 'p', 2, page_info },
	{ 'm', 1, measurement },
	{ 'c', 0, check },
};

/* Returns how many numbers there are, or MAX_NUMBERS + 1 if something else is. */
static unsigned int parse(const char *text, u64 *numbers)
{
	unsigned int nr = 0;
	char *end;

	for (;;) {
		text += strspn(text, " \t\r\n");
		if (!*text)
			return nr;
		if (nr == MAX_NUMBERS)
			return MAX_NUMBERS + 1;
		numbers[nr++] = strtoull(text, &end, 16);
		if (end == text)
			return MAX_NUMBERS + 1;
		text = end;
	}
}

static void obey(struct tdxmod *mod, const char *line)
{
	u64 numbers[MAX_NUMBERS] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].name == line[0] &&
		    parse(line + 1, numbers) == commands[i].numbers) {
			commands[i].run(mod, numbers);
			return;
		}
	}
	puts("?");
}

int main(void)
{
	struct tdxmod_config config = machine_config();
	struct tdxmod *mod = tdxmod_create(&config);
	char line[LINE_BYTES];

	if (!mod)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin))
		obey(mod, line);
	tdxmod_destroy(mod);
	sim_reset();
	return 0;
}
