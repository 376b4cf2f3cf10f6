/* What the parts of the probe share. */

/* Writes a line to standard output with one write(2). */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns when standard input ends or a line that begins with q arrives. */
void wait_for_end(void);

/* signals [except N...]: reports each signal that arrives, until the end of input. */
int signals(int argc, char **argv);

/* notify STATE [descriptor|barrier]: sends STATE to $NOTIFY_SOCKET. */
int notify(int argc, char **argv);
