/*
 * The yardstick of BenchmarkAgainstSpawnLoop: runs a program a number of times,
 * some at once, reading what each prints through a pipe, with as little around
 * it as C allows.
 *
 *   spawnloop RUNS AT_ONCE PROGRAM [ARGUMENT...]
 *
 * Prints the seconds it took.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_AT_ONCE 1024

static struct pollfd fds[MOST_AT_ONCE];
static pid_t pids[MOST_AT_ONCE];

static void die(const char *what, int error)
{
	fprintf(stderr, "spawnloop: %s: %s\n", what, strerror(error));
	exit(1);
}

static void start(int slot, char **argv)
{
	static char *env[] = { NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe2", errno);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
	error = posix_spawn(&pids[slot], argv[0], &actions, NULL, argv, env);
	if (error != 0)
		die(argv[0], error);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	fds[slot].fd = ends[0];
	fds[slot].events = POLLIN;
}

/* Reads once; 1 when the child has ended and was reaped. */
static int finish(int slot)
{
	static char output[65536];
	int status;

	if (read(fds[slot].fd, output, sizeof output) > 0)
		return 0;
	close(fds[slot].fd);
	fds[slot].fd = -1;
	if (waitpid(pids[slot], &status, 0) < 0)
		die("waitpid", errno);
	if (status != 0)
		die("the program failed", ECHILD);
	return 1;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	int runs, at_once, started = 0, done = 0, slot;

	if (argc < 4 || (runs = atoi(argv[1])) < 1 || (at_once = atoi(argv[2])) < 1 || at_once > MOST_AT_ONCE) {
		fprintf(stderr, "usage: spawnloop RUNS AT_ONCE PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (at_once > runs)
		at_once = runs;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (; started < at_once; started++)
		start(started, argv + 3);
	while (done < runs) {
		if (poll(fds, at_once, -1) < 0 && errno != EINTR)
			die("poll", errno);
		for (slot = 0; slot < at_once; slot++) {
			if (fds[slot].fd < 0 || fds[slot].revents == 0 || !finish(slot))
				continue;
			done++;
			if (started < runs) {
				start(slot, argv + 3);
				started++;
			}
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.6f\n", (end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
