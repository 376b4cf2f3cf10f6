/* sd_notify(3) and sd_notify_barrier(3), written out. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "probe.h"

static int send_state(const char *state, int descriptor)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (!path || strlen(path) >= sizeof to.sun_path)
		return -1;
	strcpy(to.sun_path, path);
	if (path[0] == '@')
		to.sun_path[0] = 0;
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] == '/');
	int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec text = { (char *)state, strlen(state) };
	struct msghdr message = { .msg_name = &to, .msg_namelen = length, .msg_iov = &text,
		.msg_iovlen = 1 };
	if (descriptor >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof control.space;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
	}
	ssize_t n = sendmsg(s, &message, MSG_NOSIGNAL);
	int error = errno;
	close(s);
	errno = error;
	return n < 0 ? -1 : 0;
}

int notify(int argc, char **argv)
{
	const char *how = argc > 3 ? argv[3] : "";
	if (!strcmp(how, "barrier")) {
		int ends[2];
		if (send_state(argv[2], -1) || pipe2(ends, 02000000 /* O_CLOEXEC */))
			return 3;
		if (send_state("BARRIER=1", ends[1]))
			return 4;
		close(ends[1]);
		struct pollfd wait = { ends[0], 0, 0 };
		int ready = poll(&wait, 1, 10000);
		say("barrier %s\n", ready == 1 && wait.revents & POLLHUP ? "passed" : "timed out");
		return 0;
	}
	/* Standard input doubles as the descriptor to store. */
	if (send_state(argv[2], !strcmp(how, "descriptor") ? 0 : -1)) {
		say("notify: errno %d\n", errno);
		return 5;
	}
	say("sent\n");
	wait_for_end();
	return 0;
}
