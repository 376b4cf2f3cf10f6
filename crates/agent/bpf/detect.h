/*
 * For kernels that let nobody deny: the same is seen at the end of each system call, by what the call left behind. A
 * descriptor leads to its file, whatever path it was opened by.
 */
#pragma once

#include "procfs.h"

#if defined(__TARGET_ARCH_x86)

/* Whether the current process may do what it did to the one with this entry. */
INLINE int is_fine(const struct entry *entry)
{
	struct entry *own = own_entry();

	if (own && (own->roles & ROLE_AGENT || (own->roles & ROLE_SUPERVISOR && own->tree == entry->tree)))
		return 1;
	if (entry->roles & ROLE_AGENT || !is_trusted(TRUST_READ))
		return 0;
	count(COUNTER_ALLOWED);
	return 1;
}

/* Killing the reader is all that can be done now; what it has read it may have passed on. */
INLINE void report(struct settings *now, u32 route, u64 detail, struct task_struct *target, u32 id)
{
	u32 verdict = VERDICT_OBSERVED;

	if (now->kill && action_for(now, route) == ACTION_DENY && !send_signal(9))
		verdict = VERDICT_KILLED;
	count(COUNTER_OBSERVED);
	tell(route, HOOK_SYSCALL, verdict, detail, target, id);
}

/* The file behind a descriptor of the current process. */
INLINE struct file *file_of(u32 number)
{
	struct files_struct *files = READ(current_task(), files);
	struct fdtable *table = READ(files, fdt);
	struct file **all = READ(table, fd);
	struct file *file = 0;

	if (number >= READ(table, max_fds))
		return 0;
	read_kernel(&file, sizeof(file), &all[number]);
	return file;
}

INLINE void look_at_descriptor(u32 number, u64 detail)
{
	struct file *file = file_of(number);
	struct super_block *filesystem;
	struct settings *now = configured();
	struct task_struct *target;
	struct inode *inode;
	struct entry entry = {};
	union name name = {};
	u32 route;

	if (!file || !now)
		return;
	inode = READ(file, f_inode);
	filesystem = READ(inode, i_sb);
	if (READ(filesystem, s_magic) != PROC_SUPER_MAGIC)
		return;
	target = process_behind(file);
	if (!target)
		return;
	read_kernel_string(name.text, sizeof(name.text), READ(READ(file, f_path.dentry), d_name.name));
	route = route_of(&name);
	if (!route)
		return;
	if (route == ROUTE_ENVIRON && now->sweep_targets && process_of(target) != (u32)(get_pid_tgid() >> 32))
		note_sweep(now, target);
	if (process_of(target) == (u32)(get_pid_tgid() >> 32) || action_for(now, route) == ACTION_OFF)
		return;
	if (protection_of(target, now, &entry) && !is_fine(&entry))
		report(now, route, detail, target, 0);
}

/* By number, which is the kernel's own for callers in the initial PID namespace. */
INLINE void look_at_process(u32 id, u32 route, u64 detail)
{
	struct settings *now = configured();
	struct entry *entry = map_lookup(&protected, &id);

	if (entry && now && id != (u32)(get_pid_tgid() >> 32) && action_for(now, route) != ACTION_OFF && !is_fine(entry))
		report(now, route, detail, 0, id);
}

SEC("raw_tracepoint/sys_exit")
int on_call(u64 *context)
{
	struct pt_regs *registers = (void *)context[0];
	s64 result = context[1];
	u64 call = READ(registers, orig_ax);

	if (result < 0)
		return 0;
	switch (call) {
	case 2: /* open */
	case 257: /* openat */
	case 437: /* openat2 */
		look_at_descriptor(result, call);
		break;
	case 0: /* read */
	case 17: /* pread64 */
	case 19: /* readv */
	case 295: /* preadv */
	case 327: /* preadv2 */
		look_at_descriptor(READ(registers, di), call);
		break;
	case 101: /* ptrace */
		if (READ(registers, di) == 16 || READ(registers, di) == 0x4206 /* attach, seize */)
			look_at_process(READ(registers, si), ROUTE_PTRACE, call);
		break;
	case 310:
		look_at_process(READ(registers, di), ROUTE_VM_READ, call);
		break;
	case 311:
		look_at_process(READ(registers, di), ROUTE_VM_WRITE, call);
		break;
	}
	return 0;
}
#endif
