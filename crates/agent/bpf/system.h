/*
 * What reaches into every process at once, and what could switch all this off.
 */
#pragma once

#include "judge.h"

enum lockdown_reason {
	LOCKDOWN_MODULE_SIGNATURE,
	LOCKDOWN_DEV_MEM,
	LOCKDOWN_KEXEC,
	LOCKDOWN_HIBERNATION,
	LOCKDOWN_PCI_ACCESS,
	LOCKDOWN_IOPORT,
	LOCKDOWN_MSR,
	LOCKDOWN_BPF_WRITE_USER,
	LOCKDOWN_KCORE,
	LOCKDOWN_KPROBES,
	LOCKDOWN_PERF,
	LOCKDOWN_TRACEFS,
};

enum kernel_read_file_id {
	READING_MODULE,
	READING_KEXEC_IMAGE,
	READING_KEXEC_INITRAMFS,
};

enum kernel_load_data_id {
	LOADING_MODULE,
	LOADING_KEXEC_IMAGE,
	LOADING_KEXEC_INITRAMFS,
};

/* What this kernel calls an enumerator of ours. */
#define NUMBER(type, name) __builtin_preserve_enum_value(*(type *)name, 1)

/* Programs that run in other processes' context read their memory, whatever type they claim to be of. */
SEC("lsm/bpf")
int bpf(u64 *context)
{
	u32 command = context[0];

	switch (command) {
	case 5: /* PROG_LOAD */
	case 7: /* OBJ_GET */
	case 8: /* PROG_ATTACH */
	case 9: /* PROG_DETACH */
	case 10: /* PROG_TEST_RUN */
	case 13: /* PROG_GET_FD_BY_ID */
	case 14: /* MAP_GET_FD_BY_ID */
	case 17: /* RAW_TRACEPOINT_OPEN */
	case 20: /* TASK_FD_QUERY */
	case 28: /* LINK_CREATE */
	case 29: /* LINK_UPDATE */
	case 30: /* LINK_GET_FD_BY_ID */
	case 33: /* ITER_CREATE */
	case 34: /* LINK_DETACH */
		return judge_kernel(ROUTE_BPF, HOOK_BPF, command);
	}
	return 0;
}

/* Stack samples, breakpoints with registers, uprobes: the hook is not told of whom. */
SEC("lsm/perf_event_open")
int perf_event_open(u64 *context)
{
	return judge_kernel(ROUTE_PERF, HOOK_PERF, 0);
}

SEC("lsm/locked_down")
int locked_down(u64 *context)
{
	u64 what = (u32)context[0];
	u32 route = 0;

	if (what == NUMBER(enum lockdown_reason, LOCKDOWN_KPROBES) ||
	    what == NUMBER(enum lockdown_reason, LOCKDOWN_TRACEFS) ||
	    what == NUMBER(enum lockdown_reason, LOCKDOWN_BPF_WRITE_USER))
		route = ROUTE_PROBES;
	else if (what == NUMBER(enum lockdown_reason, LOCKDOWN_KCORE) ||
		 what == NUMBER(enum lockdown_reason, LOCKDOWN_DEV_MEM) ||
		 what == NUMBER(enum lockdown_reason, LOCKDOWN_MSR) ||
		 what == NUMBER(enum lockdown_reason, LOCKDOWN_IOPORT) ||
		 what == NUMBER(enum lockdown_reason, LOCKDOWN_PCI_ACCESS))
		route = ROUTE_KERNEL_MEMORY;
	else if (what == NUMBER(enum lockdown_reason, LOCKDOWN_KEXEC) ||
		 what == NUMBER(enum lockdown_reason, LOCKDOWN_HIBERNATION))
		route = ROUTE_KEXEC;
	else if (what == NUMBER(enum lockdown_reason, LOCKDOWN_PERF))
		route = ROUTE_PERF;
	else if (what == NUMBER(enum lockdown_reason, LOCKDOWN_MODULE_SIGNATURE))
		route = ROUTE_MODULE;
	return route ? judge_kernel(route, HOOK_LOCKED_DOWN, what) : 0;
}

SEC("lsm/kernel_read_file")
int kernel_read_file(u64 *context)
{
	u64 what = (u32)context[1];

	if (what == NUMBER(enum kernel_read_file_id, READING_MODULE))
		return judge_kernel(ROUTE_MODULE, HOOK_KERNEL_READ, what);
	if (what == NUMBER(enum kernel_read_file_id, READING_KEXEC_IMAGE) ||
	    what == NUMBER(enum kernel_read_file_id, READING_KEXEC_INITRAMFS))
		return judge_kernel(ROUTE_KEXEC, HOOK_KERNEL_READ, what);
	return 0;
}

SEC("lsm/kernel_load_data")
int kernel_load_data(u64 *context)
{
	u64 what = (u32)context[0];

	if (what == NUMBER(enum kernel_load_data_id, LOADING_MODULE))
		return judge_kernel(ROUTE_MODULE, HOOK_KERNEL_LOAD, what);
	if (what == NUMBER(enum kernel_load_data_id, LOADING_KEXEC_IMAGE) ||
	    what == NUMBER(enum kernel_load_data_id, LOADING_KEXEC_INITRAMFS))
		return judge_kernel(ROUTE_KEXEC, HOOK_KERNEL_LOAD, what);
	return 0;
}

/* Signals that dump a core, and the two that make runtimes open a door: bits by number. */
#define TALKATIVE                                                                                                      \
	(1ULL << 3 | 1ULL << 4 | 1ULL << 5 | 1ULL << 6 | 1ULL << 7 | 1ULL << 8 | 1ULL << 10 | 1ULL << 11 |            \
	 1ULL << 24 | 1ULL << 25 | 1ULL << 31)

SEC("lsm/task_kill")
int task_kill(u64 *context)
{
	struct task_struct *target = (void *)context[0];
	struct settings *now = configured();
	u32 number = context[2], id = target->tgid, sender = get_pid_tgid() >> 32;
	struct entry *entry, *own;

	if (!now || !number || sender == id || sender == 1)
		return 0;
	entry = map_lookup(&protected, &id);
	if (!entry)
		return 0;
	if (entry->roles & ROLE_AGENT) {
		if (is_trusted(TRUST_SIGNAL))
			return 0;
		return verdict_on(now, ROUTE_AGENT_SIGNAL, HOOK_TASK_KILL, number, target, 1);
	}
	own = own_entry();
	if (number > 31 || !(TALKATIVE >> number & 1) || (own && own->tree == entry->tree) || is_trusted(TRUST_SIGNAL))
		return 0;
	return verdict_on(now, ROUTE_SIGNAL, HOOK_TASK_KILL, number, target, 1);
}

/* A protected process that opens itself to its own user again. Here "nothing to say" is ENOSYS. */
SEC("lsm/task_prctl")
int task_prctl(u64 *context)
{
	struct settings *now;
	struct entry *own;

	if (context[0] != 4 /* PR_SET_DUMPABLE */ || !context[1])
		return -ENOSYS;
	own = own_entry();
	now = configured();
	if (!own || !now || own->roles & ROLE_SUPERVISOR)
		return -ENOSYS;
	return verdict_on(now, ROUTE_DUMPABLE, HOOK_TASK_PRCTL, context[1], current_task(), 1) ? -EPERM : -ENOSYS;
}

/* Whether this is etc/ld.so.preload, which every dynamic program loads. */
INLINE int is_preload(struct dentry *entry)
{
	union name name = {};

	read_kernel_string(name.text, sizeof(name.text), READ(entry, d_name.name));
	if (name.words[0] != WORD('l', 'd', '.', 's', 'o', '.', 'p', 'r') ||
	    name.words[1] != WORD('e', 'l', 'o', 'a', 'd', 0, 0, 0))
		return 0;
	name.words[0] = 0;
	entry = READ(entry, d_parent);
	read_kernel_string(name.text, sizeof(name.text), READ(entry, d_name.name));
	return (u32)name.words[0] == ('e' | 't' << 8 | 'c' << 16);
}

/* Whether this is below the directory in bpffs that keeps our programs when nobody runs. */
INLINE int is_pin(struct dentry *entry)
{
	union name name = {};

	if (READ(READ(entry, d_sb), s_magic) != BPF_FS_MAGIC)
		return 0;
	for (int depth = 0; depth < 4; depth++) {
		name.words[0] = 0;
		read_kernel_string(name.text, sizeof(name.text), READ(entry, d_name.name));
		if (name.words[0] == WORD('e', 'n', 'v', 'w', 'a', 'r', 'd', 0))
			return 1;
		entry = READ(entry, d_parent);
	}
	return 0;
}

SEC("lsm/inode_unlink")
int inode_unlink(u64 *context)
{
	struct dentry *entry = (void *)context[1];

	return is_pin(entry) ? judge_kernel(ROUTE_PINS, HOOK_INODE, 0) : 0;
}

SEC("lsm/inode_rmdir")
int inode_rmdir(u64 *context)
{
	struct dentry *entry = (void *)context[1];

	return is_pin(entry) ? judge_kernel(ROUTE_PINS, HOOK_INODE, 0) : 0;
}

SEC("lsm/sb_umount")
int sb_umount(u64 *context)
{
	struct vfsmount *mount = (void *)context[0];

	return READ(READ(mount, mnt_sb), s_magic) == BPF_FS_MAGIC ? judge_kernel(ROUTE_PINS, HOOK_MOUNT, 0) : 0;
}

SEC("lsm/inode_create")
int inode_create(u64 *context)
{
	struct dentry *entry = (void *)context[1];

	return is_preload(entry) ? judge_kernel(ROUTE_PRELOAD, HOOK_INODE, 0) : 0;
}

SEC("lsm/inode_rename")
int inode_rename(u64 *context)
{
	struct dentry *from = (void *)context[1], *to = (void *)context[3];

	if (is_pin(from) || is_pin(to))
		return judge_kernel(ROUTE_PINS, HOOK_INODE, 0);
	return is_preload(to) ? judge_kernel(ROUTE_PRELOAD, HOOK_INODE, 0) : 0;
}

SEC("lsm/inode_link")
int inode_link(u64 *context)
{
	struct dentry *to = (void *)context[2];

	return is_preload(to) ? judge_kernel(ROUTE_PRELOAD, HOOK_INODE, 0) : 0;
}

SEC("lsm/inode_symlink")
int inode_symlink(u64 *context)
{
	struct dentry *to = (void *)context[1];

	return is_preload(to) ? judge_kernel(ROUTE_PRELOAD, HOOK_INODE, 0) : 0;
}
