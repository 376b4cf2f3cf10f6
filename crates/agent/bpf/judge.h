/*
 * Who is protected, who may look, and what happens then.
 */
#pragma once

#include "party.h"

INLINE u32 action_for(struct settings *now, u32 route)
{
	u64 actions = route < 32 ? now->actions[0] : now->actions[1];

	return actions >> (route % 32 * 2) & 3;
}

INLINE int in_protected_cgroup(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *group = READ(set, dfl_cgrp);
	int depth = READ(group, level);

	for (int level = 0; level < 16; level++) {
		struct cgroup *ancestor = 0;
		struct kernfs_node *node;
		u64 id;

		if (level > depth)
			break;
		read_kernel(&ancestor, sizeof(ancestor), &group->ancestors[level]);
		node = READ(ancestor, kn);
		id = READ(node, id);
		if (map_lookup(&protected_cgroup, &id))
			return 1;
	}
	return 0;
}

/*
 * The entry of a protected process; a shared one for those that a rule protects. A child that has no entry yet has its
 * parent's: the entry is made after the process can be found, and before it runs for the first time.
 */
INLINE int protection_of(struct task_struct *task, struct settings *now, struct entry *found)
{
	struct task_struct *parent;
	u32 id = READ(task, tgid);
	struct entry *entry = map_lookup(&protected, &id);

	if (!entry) {
		parent = READ(task, real_parent);
		id = READ(parent, tgid);
		entry = map_lookup(&protected, &id);
		if (entry && entry->roles & ROLE_AGENT)
			entry = 0;
	}
	if (entry) {
		*found = *entry;
		return 1;
	}
	if (now->by_exe) {
		struct identity identity = identity_of(executable_of(task));

		if (map_lookup(&protected_exe, &identity))
			return 1;
	}
	return now->by_cgroup && in_protected_cgroup(task);
}

/* What the current process is trusted with, by its executable, user or cgroup. */
INLINE int is_trusted(u32 with)
{
	struct task_struct *task = current_task();
	struct file *file = executable_of(task);
	struct identity identity = identity_of(file);
	struct permit *permit = map_lookup(&trusted_exe, &identity);
	u32 uid = get_uid_gid(), *trust;
	u64 cgroup;

	/* Somebody else decides what a traced process does. */
	if (READ(task, ptrace))
		return 0;
	if (permit && permit->trust & with && (permit->uid == ANY_UID || permit->uid == uid)) {
		struct inode *inode = READ(file, f_inode);

		if (READ(inode, i_uid.val) == permit->owner)
			return 1;
	}
	trust = map_lookup(&trusted_uid, &uid);
	if (trust && *trust & with)
		return 1;
	cgroup = cgroup_of(task);
	trust = map_lookup(&trusted_cgroup, &cgroup);
	return trust && *trust & with;
}

INLINE struct entry *own_entry(void)
{
	u32 id = get_pid_tgid() >> 32;

	return map_lookup(&protected, &id);
}

INLINE int is_agent(void)
{
	struct entry *own = own_entry();

	return own && own->roles & ROLE_AGENT;
}

/* Tells about it; `id` is all that is known of a target without `target`. A full ring takes nothing back: the verdict stands, and the event is counted as lost. */
INLINE void tell(u32 route, u32 hook, u32 verdict, u64 detail, struct task_struct *target, u32 id)
{
	struct task_struct *reader = current_task();
	struct event *event;
	struct mm_struct *memory;
	u64 sequence = count(COUNTER_EVENTS);
	u32 lost = COUNTER_LOST;
	u64 *losses = map_lookup(&counters, &lost);

	event = ring_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNTER_LOST);
		return;
	}
	event->version = EVENT_VERSION;
	event->route = route;
	event->hook = hook;
	event->verdict = verdict;
	event->sequence = sequence;
	event->time = boot_time_ns();
	event->lost = losses ? *losses : 0;
	event->detail = detail;
	event->unused = 0;
	event->arguments_length = 0;
	describe(&event->reader, reader);
	if (target) {
		describe(&event->target, target);
	} else {
		__builtin_memset(&event->target, 0, sizeof(event->target));
		event->target.pid = id;
	}
	memory = READ(reader, mm);
	if (memory) {
		unsigned long start = READ(memory, arg_start);
		u64 length = READ(memory, arg_end) - start;

		if (length > ARGUMENTS_BYTES)
			length = ARGUMENTS_BYTES;
		/* Never beyond the arguments: what follows is the environment. */
		if (length > 0 && !read_user(event->arguments, length, (void *)start))
			event->arguments_length = length;
	}
	ring_submit(event, 0);
}

/* The verdict on a route that is open to nobody, or to nobody but the trusted. */
INLINE int verdict_on(struct settings *now, u32 route, u32 hook, u64 detail, struct task_struct *target, int audit)
{
	u32 action = action_for(now, route);
	int denied = action == ACTION_DENY;

	if (action == ACTION_OFF)
		return 0;
	count(denied ? COUNTER_DENIED : COUNTER_OBSERVED);
	if (audit)
		tell(route, hook, denied ? VERDICT_DENIED : VERDICT_OBSERVED, detail, target, 0);
	return denied ? -EPERM : 0;
}

/* The verdict on what the current process wants of another's memory. */
INLINE int judge(struct task_struct *target, u32 route, u32 hook, u64 detail, int audit)
{
	struct settings *now = configured();
	struct entry entry = {};
	struct entry *own;

	if (!now || !target || process_of(target) == (u32)(get_pid_tgid() >> 32))
		return 0;
	if (READ(target, mm) == current_task()->mm)
		return 0;
	if (!protection_of(target, now, &entry))
		return 0;
	own = own_entry();
	if (own && (own->roles & ROLE_AGENT || (own->roles & ROLE_SUPERVISOR && own->tree == entry.tree)))
		return 0;
	if (!(entry.roles & ROLE_AGENT) && is_trusted(TRUST_READ)) {
		count(COUNTER_ALLOWED);
		return 0;
	}
	/* Who looks at every process by design looks at the agent, too, on any machine: refused, counted, not told. */
	if (entry.roles & ROLE_AGENT && is_trusted(TRUST_SWEEP))
		audit = 0;
	return verdict_on(now, route, hook, detail, target, audit);
}

/* The verdict on what reaches into every process at once: BPF, perf, probes, modules. */
INLINE int judge_kernel(u32 route, u32 hook, u64 detail)
{
	struct settings *now = configured();

	if (!now || action_for(now, route) == ACTION_OFF || is_agent() || is_trusted(TRUST_KERNEL))
		return 0;
	return verdict_on(now, route, hook, detail, 0, 1);
}
