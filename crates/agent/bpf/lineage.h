/*
 * Children of protected processes are protected from before their first instruction on.
 */
#pragma once

#include "judge.h"

SEC("raw_tracepoint/sched_process_fork")
int on_fork(u64 *context)
{
	struct task_struct *parent = (void *)context[0], *child = (void *)context[1];
	struct settings *now = configured();
	struct entry entry = {};
	struct entry *known;
	u32 id = READ(child, tgid), from = READ(parent, tgid);

	if (id == from || !now)
		return 0;
	known = map_lookup(&protected, &from);
	if (known) {
		/* The agent starts nothing; if something is started in its place it is not the agent. */
		if (known->roles & ROLE_AGENT)
			return 0;
		entry = *known;
	} else if (now->by_exe) {
		struct identity identity = identity_of(executable_of(parent));

		if (!map_lookup(&protected_exe, &identity))
			return 0;
	} else {
		return 0;
	}
	entry.start = READ(child, start_boottime);
	entry.counted = 1;
	switch (map_update(&protected, &id, &entry, UPDATE_NEW)) {
	case 0:
		count(COUNTER_ENTRIES);
		break;
	case -EEXIST: /* by the programs of an agent that is about to take over */
		break;
	default:
		count(COUNTER_NOT_INHERITED);
	}
	return 0;
}

/* What a supervisor starts is no supervisor. */
SEC("raw_tracepoint/sched_process_exec")
int on_exec(u64 *context)
{
	struct entry *own = own_entry();

	if (own)
		own->roles = 0;
	return 0;
}

/* A process ends with its last thread, not with its first. */
SEC("raw_tracepoint/sched_process_exit")
int on_exit(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct signal_struct *shared = READ(task, signal);
	u32 id = READ(task, tgid), entries = COUNTER_ENTRIES;
	struct entry *known = map_lookup(&protected, &id);
	u64 *number;
	u32 counted;

	if (!known || READ(shared, live.counter) > 0)
		return 0;
	counted = known->counted;
	if (map_delete(&protected, &id) || !counted)
		return 0;
	number = map_lookup(&counters, &entries);
	if (number)
		__sync_fetch_and_add(number, -1);
	return 0;
}
