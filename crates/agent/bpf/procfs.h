/*
 * Files of procfs, known by what they are: the filesystem's magic number, the process that the kernel keeps in the
 * inode, and the name that the kernel gave to the entry. No path is looked at: a bind mount, another procfs, a mount that
 * is nowhere, a descriptor that was passed on are all the same.
 */
#pragma once

#include "judge.h"

#define WORD(a, b, c, d, e, f, g, h)                                                                                   \
	((u64)(a) | (u64)(b) << 8 | (u64)(c) << 16 | (u64)(d) << 24 | (u64)(e) << 32 | (u64)(f) << 40 |              \
	 (u64)(g) << 48 | (u64)(h) << 56)

union name {
	u64 words[3];
	char text[24];
};

INLINE void name_of(struct file *file, union name *name)
{
	struct dentry *entry = file->f_path.dentry;

	name->words[0] = name->words[1] = name->words[2] = 0;
	read_kernel_string(name->text, sizeof(name->text), READ(entry, d_name.name));
}

/* Which route a file of a process is; 0 for those that tell nothing. */
INLINE u32 route_of(const union name *name)
{
	switch (name->words[0]) {
	case WORD('e', 'n', 'v', 'i', 'r', 'o', 'n', 0):
		return ROUTE_ENVIRON;
	case WORD('m', 'e', 'm', 0, 0, 0, 0, 0):
		return ROUTE_MEM;
	case WORD('m', 'a', 'p', 's', 0, 0, 0, 0):
	case WORD('s', 'm', 'a', 'p', 's', 0, 0, 0):
		return ROUTE_MAPS;
	case WORD('s', 'm', 'a', 'p', 's', '_', 'r', 'o'):
		return name->words[1] == WORD('l', 'l', 'u', 'p', 0, 0, 0, 0) ? ROUTE_MAPS : 0;
	case WORD('n', 'u', 'm', 'a', '_', 'm', 'a', 'p'):
		return name->words[1] == 's' ? ROUTE_MAPS : 0;
	case WORD('a', 'u', 'x', 'v', 0, 0, 0, 0):
		return ROUTE_AUXV;
	case WORD('s', 't', 'a', 'c', 'k', 0, 0, 0):
		return ROUTE_STACK;
	case WORD('s', 'y', 's', 'c', 'a', 'l', 'l', 0):
		return ROUTE_SYSCALL;
	case WORD('p', 'a', 'g', 'e', 'm', 'a', 'p', 0):
		return ROUTE_PAGEMAP;
	case WORD('c', 'l', 'e', 'a', 'r', '_', 'r', 'e'):
		return name->words[1] == WORD('f', 's', 0, 0, 0, 0, 0, 0) ? ROUTE_CLEAR_REFS : 0;
	case WORD('c', 'o', 'r', 'e', 'd', 'u', 'm', 'p'):
		return name->words[1] == WORD('_', 'f', 'i', 'l', 't', 'e', 'r', 0) ? ROUTE_COREDUMP_FILTER : 0;
	default:
		return 0;
	}
}

/* The process that a file of procfs belongs to, if it belongs to one. */
INLINE struct task_struct *process_behind(struct file *file)
{
	char *inode = (char *)READ(file, f_inode);
	struct proc_inode *entry = (void *)(inode - OFFSET(struct proc_inode, vfs_inode));
	struct pid *pid = READ(entry, pid);
	struct hlist_node *first = pid ? READ(pid, tasks[0].first) : 0;

	return first ? (void *)((char *)first - OFFSET(struct task_struct, pid_links)) : 0;
}

/*
 * Whether `target` makes this the reader's sweep over many processes: told once for each of its windows, and what comes
 * after in the window has the same verdict.
 */
INLINE int note_sweep(struct settings *now, struct task_struct *target)
{
	u32 reader = get_pid_tgid() >> 32, id = process_of(target), before;
	u64 time = boot_time_ns();
	struct sweep *known = map_lookup(&sweeps, &reader);

	if (!known || time - known->since > now->sweep_window_ns) {
		struct sweep fresh = { .since = time, .last = id, .targets = 1 };

		map_update(&sweeps, &reader, &fresh, UPDATE_ANY);
		return 0;
	}
	before = known->targets;
	if (known->last != id) {
		known->last = id;
		known->targets++;
	}
	if (known->targets < now->sweep_targets || is_agent() || is_trusted(TRUST_SWEEP))
		return 0;
	if (before < now->sweep_targets) {
		count(COUNTER_SWEEPS);
		return verdict_on(now, ROUTE_SWEEP, HOOK_FILE_OPEN, known->targets, target, 1);
	}
	return verdict_on(now, ROUTE_SWEEP, HOOK_FILE_OPEN, known->targets, target, 0);
}

/*
 * Whether the kernel asks about the process, too, in the same call and after us. The note is used up by that, and by
 * nobody but this thread and for this process.
 */
INLINE void note_passage(u32 route, u32 hook, struct task_struct *target)
{
	u32 thread = get_pid_tgid(), id = process_of(target);

	switch (route) {
	case ROUTE_ENVIRON:
	case ROUTE_MEM:
	case ROUTE_MAPS:
	case ROUTE_AUXV:
	case ROUTE_PAGEMAP:
		if (hook != HOOK_FILE_OPEN)
			return;
		break;
	case ROUTE_STACK:
	case ROUTE_SYSCALL:
		if (hook == HOOK_FILE_OPEN)
			return;
		break;
	default:
		return;
	}
	map_update(&let_through, &thread, &id, UPDATE_ANY);
}

/* Whether the current thread was let through to this process just now. */
INLINE int has_passed(struct task_struct *target)
{
	u32 thread = get_pid_tgid(), *id = map_lookup(&let_through, &thread);
	int same = id && *id == process_of(target);

	if (id)
		map_delete(&let_through, &thread);
	return same;
}

/* The verdict on the use of a file of procfs. */
INLINE int judge_procfs(struct file *file, u32 hook, u32 writes)
{
	struct settings *now = configured();
	struct task_struct *target;
	union name name;
	u32 route;
	int verdict;

	name_of(file, &name);
	target = process_behind(file);
	if (!target) {
		if (writes && name.words[0] == WORD('c', 'o', 'r', 'e', '_', 'p', 'a', 't') &&
		    name.words[1] == WORD('t', 'e', 'r', 'n', 0, 0, 0, 0))
			return judge_kernel(ROUTE_CORE_PATTERN, hook, 0);
		return 0;
	}
	route = route_of(&name);
	if (!route || (route == ROUTE_COREDUMP_FILTER && !writes))
		return 0;
	if (!now)
		return 0;
	if (route == ROUTE_ENVIRON && hook == HOOK_FILE_OPEN && now->sweep_targets &&
	    process_of(target) != (u32)(get_pid_tgid() >> 32) && note_sweep(now, target))
		return -EPERM;
	verdict = judge(target, route, hook, writes, 1);
	/* What is only reported, or not even that, is not to be refused under another name. */
	if (!verdict && action_for(now, route) != ACTION_DENY)
		note_passage(route, hook, target);
	return verdict;
}
