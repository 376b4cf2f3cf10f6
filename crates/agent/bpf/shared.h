/*
 * What the programs and the loader both know: layouts and numbers. src/layout.rs has the same, and a test compares
 * every line below that begins with LAYOUT or that assigns a number.
 */
#pragma once

#include "helpers.h"

#define LAYOUT(type, field, offset) _Static_assert(__builtin_offsetof(struct type, field) == offset, #type "." #field)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == size, #type)

/* Which way somebody took. */
enum route {
	ROUTE_ENVIRON = 1,
	ROUTE_MEM = 2,
	ROUTE_MAPS = 3,
	ROUTE_AUXV = 4,
	ROUTE_STACK = 5,
	ROUTE_SYSCALL = 6,
	ROUTE_PAGEMAP = 7,
	ROUTE_CLEAR_REFS = 8,
	ROUTE_COREDUMP_FILTER = 9,
	ROUTE_PTRACE = 10,
	ROUTE_TRACEME = 11,
	ROUTE_VM_READ = 12,
	ROUTE_VM_WRITE = 13,
	ROUTE_PIDFD_GETFD = 14,
	ROUTE_KCMP = 15,
	ROUTE_MADVISE = 16,
	ROUTE_LINK = 17,
	ROUTE_ACCESS = 18,
	ROUTE_BPF = 20,
	ROUTE_PERF = 21,
	ROUTE_KERNEL_MEMORY = 22,
	ROUTE_MODULE = 23,
	ROUTE_KEXEC = 24,
	ROUTE_SIGNAL = 25,
	ROUTE_CORE_PATTERN = 26,
	ROUTE_PRELOAD = 27,
	ROUTE_DUMPABLE = 28,
	ROUTE_PINS = 29,
	ROUTE_SWEEP = 30,
	ROUTE_FORK_LIMIT = 31,
	ROUTE_PROBES = 32,
	ROUTE_AGENT_SIGNAL = 33,
};

/* Where it was seen. */
enum hook {
	HOOK_FILE_OPEN = 1,
	HOOK_FILE_PERMISSION = 2,
	HOOK_PTRACE_ACCESS = 3,
	HOOK_PTRACE_TRACEME = 4,
	HOOK_BPF = 5,
	HOOK_PERF = 6,
	HOOK_LOCKED_DOWN = 7,
	HOOK_KERNEL_READ = 8,
	HOOK_KERNEL_LOAD = 9,
	HOOK_TASK_KILL = 10,
	HOOK_TASK_ALLOC = 11,
	HOOK_TASK_PRCTL = 12,
	HOOK_INODE = 13,
	HOOK_MOUNT = 14,
	HOOK_SYSCALL = 15,
};

enum verdict {
	VERDICT_OBSERVED = 0,
	VERDICT_DENIED = 1,
	VERDICT_KILLED = 2,
};

/* What a process in the map of protected ones is besides protected. */
enum role {
	/* Looks after a tree: may do anything to it. Children have it until they exec. */
	ROLE_SUPERVISOR = 1,
	/* The agent itself. */
	ROLE_AGENT = 2,
};

/* What an executable is trusted with. */
enum trust {
	/* May look at protected processes. */
	TRUST_READ = 1,
	/* May use BPF, perf, probes, load modules. */
	TRUST_KERNEL = 2,
	/* Looks at every process by design. */
	TRUST_SWEEP = 4,
	/* May signal protected processes and the agent. */
	TRUST_SIGNAL = 8,
};

/* What is done about a route: two bits for each in `settings.actions`. */
enum action {
	ACTION_OFF = 0,
	ACTION_REPORT = 1,
	ACTION_DENY = 2,
};

/* Numbers in the map of counters. */
enum counter {
	COUNTER_EVENTS = 0,
	COUNTER_LOST = 1,
	COUNTER_DENIED = 2,
	COUNTER_OBSERVED = 3,
	COUNTER_ENTRIES = 4,
	COUNTER_NOT_INHERITED = 5,
	COUNTER_ALLOWED = 6,
	COUNTER_SWEEPS = 7,
	COUNTERS = 8,
};

enum {
	ENTRIES_MAX = 32768,
	RING_BYTES = 2097152,
	EVENT_VERSION = 1,
	ANY_UID = 0xffffffff,
	ARGUMENTS_BYTES = 128,
	EXE_BYTES = 48,
};

struct entry {
	u64 start;
	u64 tree;
	u32 roles;
	/* Whether it is one of COUNTER_ENTRIES: those that the loader makes are not. */
	u32 counted;
};
LAYOUT(entry, tree, 8);
LAYOUT(entry, roles, 16);
SIZE(entry, 24);

struct identity {
	u64 inode;
	u32 device;
	u32 unused;
};
LAYOUT(identity, device, 8);
SIZE(identity, 16);

struct permit {
	/* The file must belong to this user still. */
	u32 owner;
	/* Who may use it; ANY_UID for everybody. */
	u32 uid;
	u32 trust;
	u32 unused;
};
LAYOUT(permit, uid, 4);
LAYOUT(permit, trust, 8);
SIZE(permit, 16);

struct settings {
	/* Two bits for each route, lowest first: enum action. */
	u64 actions[2];
	u64 sweep_window_ns;
	u32 sweep_targets;
	/* Whether the maps of the same names have anything in them. */
	u8 by_cgroup;
	u8 by_exe;
	u8 kill;
	u8 unused;
};
LAYOUT(settings, sweep_window_ns, 16);
LAYOUT(settings, sweep_targets, 24);
LAYOUT(settings, by_cgroup, 28);
LAYOUT(settings, by_exe, 29);
LAYOUT(settings, kill, 30);
SIZE(settings, 32);

struct party {
	u64 start;
	u64 cgroup;
	u64 exe_inode;
	u32 exe_device;
	u32 pid;
	u32 tid;
	u32 uid;
	u32 gid;
	u32 unused;
	char comm[16];
	char exe[EXE_BYTES];
};
LAYOUT(party, cgroup, 8);
LAYOUT(party, exe_inode, 16);
LAYOUT(party, exe_device, 24);
LAYOUT(party, pid, 28);
LAYOUT(party, tid, 32);
LAYOUT(party, uid, 36);
LAYOUT(party, gid, 40);
LAYOUT(party, comm, 48);
LAYOUT(party, exe, 64);
SIZE(party, 112);

struct event {
	u32 version;
	u16 route;
	u8 hook;
	u8 verdict;
	u64 sequence;
	u64 time;
	u64 lost;
	u64 detail;
	u32 arguments_length;
	u32 unused;
	struct party reader;
	struct party target;
	char arguments[ARGUMENTS_BYTES];
};
LAYOUT(event, route, 4);
LAYOUT(event, hook, 6);
LAYOUT(event, verdict, 7);
LAYOUT(event, sequence, 8);
LAYOUT(event, time, 16);
LAYOUT(event, lost, 24);
LAYOUT(event, detail, 32);
LAYOUT(event, arguments_length, 40);
LAYOUT(event, reader, 48);
LAYOUT(event, target, 160);
LAYOUT(event, arguments, 272);
SIZE(event, 400);
