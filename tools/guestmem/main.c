// SPDX-License-Identifier: GPL-2.0
/*
 * guestmem-vmm: run a guest on MFD_GUEST memory and check what must hold.
 *
 * The course: a VM and a guest file, both slots bound to it, the guest program
 * in shared memory; the vCPUs run, ask for conversions and for checks, perhaps while
 * their memory is moved; then the file is compared with what the guest says it uses,
 * a map is taken, slots and pages are given up step by step, and the table is printed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

#define DEFAULT_MEMORY	(64 * MIB)
#define DEFAULT_HOLE	(16 * MIB)
#define UNSET		(~0ULL)

/* The guest shall be at work for a while when its memory is moved. */
#define DEFAULT_ROUNDS	2
#define MOVABLE_ROUNDS	4

/* Guest memory is mapped to the guest in pages of 2M: slots start and end there. */
#define SLOT_ALIGN	(2 * MIB)

static const char usage[] =
"Usage: guestmem-vmm [OPTION]...\n"
"Run a guest on memory from memfd_create(MFD_GUEST) and check that its private\n"
"memory stays private and whole. Needs a kernel with CONFIG_KVM_GUESTMEM.\n"
"\n"
"  --guest FILE     guest program, an ELF file (default: guest.elf beside this\n"
"                   program, or /usr/share/guestmem/guest.elf)\n"
"  --memory SIZE    guest memory, half of it in each slot (default: 64M, or what\n"
"                   the default guest needs for that many vCPUs; hugetlb-1G: 2G)\n"
"  --hole SIZE      hole between the two slots (default: 16M; hugetlb-1G: 1G, less\n"
"                   leaves slot 1 at another alignment than the file)\n"
"  --vcpus N        number of vCPUs, up to 16 (default: 2)\n"
"  --rounds N       how often the guest repeats its conversions (default: 2, with\n"
"                   --movable 4)\n"
"  --store NAME     where pages come from: shmem, hugetlb-2M, hugetlb-1G, as far\n"
"                   as the kernel has them (default: shmem)\n"
"  --movable        make the file with MFD_GUEST_MOVABLE, and while the guest works move\n"
"                   its memory to another NUMA node and back, until it ends; without\n"
"                   a second node nothing is moved. A hugetlb store needs huge pages\n"
"                   for all guest memory on both nodes\n"
"  --timeout N      give up when no vCPU has left the guest for N seconds, 0 for\n"
"                   never (default: 120)\n"
"  --no-map         do not print the map of guest memory\n"
"  --quiet          print only the checks that fail, and the sum\n"
"  --verbose        print every conversion, and all ranges of the map\n"
"  --needs          run nothing, print what a run needs: 'guest FILE' if --guest\n"
"                   names one, 'nodes 2' with --movable, 'hugepages KB COUNT' if\n"
"                   --store takes some, on each node\n"
"  --help           print this text\n"
"\n"
"SIZE is a number of bytes with K, M or G behind it, a multiple of 2M.\n"
"\n"
"Exit status: 0 all checks passed, 1 one failed, 2 wrong usage, 3 this machine or\n"
"kernel cannot run it.\n";

void die(enum exit_status status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "guestmem-vmm: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s\n", status == STATUS_USAGE ? "; see --help" : "");
	exit(status);
}

/* --- options ------------------------------------------------------------ */

static __u64 parse_number(const char *option, const char *text, char **end)
{
	__u64 value;

	errno = 0;
	value = strtoull(text, end, 10);
	if (*end == text || *text == '-' || errno)
		die(STATUS_USAGE, "--%s: '%s' is no number", option, text);
	return value;
}

static unsigned int parse_count(const char *option, const char *text, unsigned int min,
				unsigned int max)
{
	char *end;
	__u64 value = parse_number(option, text, &end);

	if (*end || value < min || value > max)
		die(STATUS_USAGE, "--%s: '%s' is not between %u and %u", option, text, min, max);
	return value;
}

static __u64 parse_size(const char *option, const char *text)
{
	static const char units[] = "KMG";
	char *end;
	__u64 value = parse_number(option, text, &end), unit = 1;
	const char *at = *end ? strchr(units, *end) : NULL;

	if (at)
		unit = KIB << 10 * (at - units);
	if (*end && (!at || end[1]))
		die(STATUS_USAGE, "--%s: '%s' is no size such as 64M", option, text);
	if (value > BOOT_MAX_END / unit)
		die(STATUS_USAGE, "--%s: %s is more than the %lluG that a guest can have here",
		    option, text, BOOT_MAX_END / GIB);
	if (value * unit % SLOT_ALIGN)
		die(STATUS_USAGE, "--%s: %s is no multiple of 2M", option, text);
	return value * unit;
}

static const struct store *parse_store(const char *name)
{
	const struct store *store = vm_store(name);

	if (!store)
		die(STATUS_USAGE, "--store: no store is called '%s'", name);
	return store;
}

static void parse_option(struct options *opt, const char *name, const char *value)
{
	if (!strcmp(name, "guest"))
		opt->guest = value;
	else if (!strcmp(name, "memory"))
		opt->memory = parse_size(name, value);
	else if (!strcmp(name, "hole"))
		opt->hole = parse_size(name, value);
	else if (!strcmp(name, "vcpus"))
		opt->vcpus = parse_count(name, value, 1, GUEST_MAX_VCPUS);
	else if (!strcmp(name, "rounds"))
		opt->rounds = parse_count(name, value, 1, 1000000);
	else if (!strcmp(name, "store"))
		opt->store = parse_store(value);
	else if (!strcmp(name, "timeout"))
		opt->timeout = parse_count(name, value, 0, 1000000);
	else if (!strcmp(name, "movable"))
		opt->movable = true;
	else if (!strcmp(name, "no-map"))
		opt->map = false;
	else if (!strcmp(name, "needs"))
		opt->needs = true;
	else if (!strcmp(name, "quiet"))
		opt->quiet = true;
	else if (!strcmp(name, "verbose"))
		opt->verbose = true;
}

static const struct option long_options[] = {
	{ "guest", required_argument, NULL, 'o' },
	{ "memory", required_argument, NULL, 'o' },
	{ "hole", required_argument, NULL, 'o' },
	{ "vcpus", required_argument, NULL, 'o' },
	{ "rounds", required_argument, NULL, 'o' },
	{ "store", required_argument, NULL, 'o' },
	{ "timeout", required_argument, NULL, 'o' },
	{ "movable", no_argument, NULL, 'o' },
	{ "no-map", no_argument, NULL, 'o' },
	{ "needs", no_argument, NULL, 'o' },
	{ "quiet", no_argument, NULL, 'o' },
	{ "verbose", no_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void parse_options(struct options *opt, int argc, char **argv)
{
	int c, index;

	while ((c = getopt_long(argc, argv, "h", long_options, &index)) >= 0) {
		switch (c) {
		case 'o':
			parse_option(opt, long_options[index].name, optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(STATUS_OK);
		default:
			fprintf(stderr, "guestmem-vmm: see --help\n");
			exit(STATUS_USAGE);
		}
	}
	if (optind < argc)
		die(STATUS_USAGE, "'%s' is no option", argv[optind]);
}

static __u64 larger(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

/*
 * The file is made of whole granules, slots of whole 2M.  By default a slot is
 * made of whole granules too, at the same alignment as in the file: KVM can use
 * mappings of that size.
 */
static void settle_options(struct options *opt)
{
	__u64 granule = larger(opt->store->granule, SLOT_ALIGN);
	__u64 align = larger(opt->store->granule, GUEST_SLOTS * SLOT_ALIGN);
	__u64 need = GUEST_SLOTS * (GUEST_FIXED_SIZE + opt->vcpus * (__u64)GUEST_AREA_SIZE);
	__u64 want = larger(need, DEFAULT_MEMORY) + GUEST_SLOTS * granule - 1;
	char text[24];

	if (!opt->rounds)
		opt->rounds = opt->movable ? MOVABLE_ROUNDS : DEFAULT_ROUNDS;
	if (opt->hole == UNSET)
		opt->hole = larger(granule, DEFAULT_HOLE);
	if (!opt->memory)
		opt->memory = want - want % (GUEST_SLOTS * granule);
	if (opt->memory % align)
		die(STATUS_USAGE, "--memory: two slots in the store %s take a multiple of %s",
		    opt->store->name, size_text(text, sizeof(text), align));
	if (!opt->guest && opt->memory < need)
		die(STATUS_USAGE, "--memory: the default guest with %u vCPUs needs %s or more",
		    opt->vcpus, size_text(text, sizeof(text), need));
	if (opt->memory < GUEST_SLOTS * (__u64)GUEST_IMAGE_END)
		die(STATUS_USAGE, "--memory: a guest needs %s or more",
		    size_text(text, sizeof(text), GUEST_SLOTS * (__u64)GUEST_IMAGE_END));
	if (opt->memory + opt->hole > BOOT_MAX_END)
		die(STATUS_USAGE, "--memory and --hole: together more than %lluG",
		    BOOT_MAX_END / GIB);
}

/* For a script that prepares a machine for the run. */
static void print_needs(const struct options *opt)
{
	__u64 granule = opt->store->granule;

	if (opt->guest && access(opt->guest, R_OK))
		die(STATUS_ENVIRONMENT, "guest program %s: %s", opt->guest, strerror(errno));
	if (opt->guest)
		printf("guest %s\n", opt->guest);
	if (opt->movable)
		puts("nodes 2");
	if (granule > PAGE)
		printf("hugepages %llu %llu\n", granule / KIB, opt->memory / granule);
}

/* --- the run ------------------------------------------------------------ */

static void announce(const struct vm *vm)
{
	const struct memory *mem = &vm->mem;
	char half[24], hole[24];

	if (vm->opt->quiet)
		return;
	printf("vmm: %u vCPUs, store %s%s, slots of %s at 0 and %#llx, hole of %s\n",
	       vm->opt->vcpus, vm->opt->store->name, vm->opt->movable ? ", movable" : "",
	       size_text(half, sizeof(half), mem->slot[0].size), mem->slot[1].gpa,
	       size_text(hole, sizeof(hole), vm->opt->hole));
}

/* Returns whether every vCPU ended as it should. */
static bool check_end(struct vm *vm)
{
	unsigned int i, done = 0;

	for (i = 0; i < vm->opt->vcpus; i++)
		done += vm->vcpu[i].done;
	check_value(SECTION_GUEST, "vCPUs that ended in order", NULL, UNIT_COUNT,
		    vm->opt->vcpus, done);
	if (vm->reported == vm->opt->vcpus)
		check_value(SECTION_GUEST, "conversions: got by guest, made by VMM", NULL,
			    UNIT_COUNT, vm->granted, vm->mem.conversions);
	return done == vm->opt->vcpus;
}

static void print_cost(const struct vm *vm, const struct timespec *start)
{
	struct timespec now;
	char size[24];

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%llu conversions of %s in total, %.1f s\n", vm->mem.conversions,
	       size_text(size, sizeof(size), vm->mem.converted),
	       now.tv_sec - start->tv_sec + (now.tv_nsec - start->tv_nsec) / 1e9);
}

static enum exit_status run(struct vm *vm)
{
	const struct options *opt = vm->opt;
	struct timespec start;
	struct map *map;
	bool ended;

	announce(vm);
	held_check_start(vm);
	move_start(vm);
	clock_gettime(CLOCK_MONOTONIC, &start);
	vcpus_run(vm);
	move_end(vm);
	ended = check_end(vm);
	if (!opt->quiet)
		print_cost(vm, &start);

	map = map_take(vm);
	if (ended) {
		held_check_split(vm);
		move_check(vm);
		levels_check(vm);
		held_check_teardown(vm);
	}
	if (opt->map && !opt->quiet)
		map_print(map, opt);
	return checks_print(opt->quiet) ? STATUS_FAILED : STATUS_OK;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.store = vm_store("shmem"),
		.hole = UNSET,
		.vcpus = 2,
		.timeout = 120,
		.map = true,
	};
	static struct vm vm;
	__u64 entry;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_options(&opt, argc, argv);
	settle_options(&opt);
	if (opt.needs) {
		print_needs(&opt);
		return STATUS_OK;
	}
	vm_create(&vm, &opt);
	memory_create(&vm.mem, &opt);
	vm_add_slots(&vm);
	entry = load_guest(&vm.mem, &opt);
	vm_add_vcpus(&vm, entry);
	return run(&vm);
}
