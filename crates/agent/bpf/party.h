/*
 * Who somebody is: the process, its user, its cgroup, its executable.
 */
#pragma once

#include "kernel.h"
#include "maps.h"

/* Any number of threads of which is the same process. */
INLINE u32 process_of(struct task_struct *task)
{
	return READ(task, tgid);
}

INLINE struct file *executable_of(struct task_struct *task)
{
	struct mm_struct *memory = READ(task, mm);

	return memory ? READ(memory, exe_file) : 0;
}

INLINE struct identity identity_of(struct file *file)
{
	struct identity identity = {};
	struct inode *inode = file ? READ(file, f_inode) : 0;

	if (inode) {
		struct super_block *filesystem = READ(inode, i_sb);

		identity.inode = READ(inode, i_ino);
		identity.device = READ(filesystem, s_dev);
	}
	return identity;
}

INLINE u64 cgroup_of(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *group = READ(set, dfl_cgrp);
	struct kernfs_node *node = READ(group, kn);

	return READ(node, id);
}

INLINE void describe(struct party *party, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct cred *credentials = READ(task, cred);
	struct file *file = executable_of(task);
	struct identity identity = identity_of(file);

	party->start = READ(leader, start_boottime);
	party->cgroup = cgroup_of(task);
	party->exe_inode = identity.inode;
	party->exe_device = identity.device;
	party->pid = READ(task, tgid);
	party->tid = READ(task, pid);
	party->uid = READ(credentials, uid.val);
	party->gid = READ(credentials, gid.val);
	party->unused = 0;
	read_kernel(party->comm, sizeof(party->comm), &task->comm);
	party->exe[0] = 0;
	if (file) {
		struct dentry *name = READ(file, f_path.dentry);

		read_kernel_string(party->exe, sizeof(party->exe), READ(name, d_name.name));
	}
}
