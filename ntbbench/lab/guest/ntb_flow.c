// SPDX-License-Identifier: GPL-2.0
/*
 * ntb_flow - what the guest needs of a network and busybox does not have:
 *
 *   ntb_flow channels DEVICE N
 *	ethtool -L DEVICE combined N; prints the number there is afterwards
 *   ntb_flow send ADDRESS PORT FLOWS PACKETS SIZE GAP_US
 *	PACKETS datagrams from each of FLOWS sockets in turn; prints how many
 *	and the seconds it took
 *   ntb_flow steer ADDRESS PORT FLOWS PACKETS SIZE GAP_US QUEUES STATS
 *	the same, but flow i goes by queue i % QUEUES: the stack hashes a socket
 *	to a queue at random, so sockets are tried until one fits; the counters
 *	below STATS, a device's debugfs folder, show which queue a datagram took.
 *	Sends when a line comes on standard input.
 *   ntb_flow receive PORT IDLE_SECONDS
 *	prints how many datagrams came until none did for a while
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FLOWS_MAX	64
#define SIZE_MAX_BYTES	1472
#define RECEIVE_BUFFER	4194304	/* bytes */
#define FIRST_WAIT	10	/* the first datagram may take its time */
#define SEND_WAIT	5	/* seconds: a queue that stays stopped so long */
#define TRIES		1000	/* of a socket until its queue is the wanted one */
#define LINE_SIZE	128

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int channels(const char *device, unsigned int count)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (void *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fail("socket");
	snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
	if (ioctl(fd, SIOCETHTOOL, &request))
		return fail("ETHTOOL_GCHANNELS");
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.combined_count = count;
	if (ioctl(fd, SIOCETHTOOL, &request))
		return fail("ETHTOOL_SCHANNELS");
	channels.cmd = ETHTOOL_GCHANNELS;
	if (ioctl(fd, SIOCETHTOOL, &request))
		return fail("ETHTOOL_GCHANNELS");
	printf("%u\n", channels.combined_count);
	return 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int open_flows(int *fds, int flows, const struct sockaddr_in *peer)
{
	struct timeval wait = { .tv_sec = SEND_WAIT };
	int i;

	for (i = 0; i < flows; i++) {
		fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
		if (fds[i] < 0 ||
		    setsockopt(fds[i], SOL_SOCKET, SO_SNDTIMEO, &wait,
			       sizeof(wait)) ||
		    connect(fds[i], (const void *)peer, sizeof(*peer)))
			return fail("flow");
	}
	return 0;
}

/* Return how many packets QP @qp has sent; 0 also if its link is down. */
static long long sent_by(const char *stats, int qp)
{
	char line[LINE_SIZE];
	long long count = 0;
	FILE *file;

	snprintf(line, sizeof(line), "%s/qp%d/stats", stats, qp);
	file = fopen(line, "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "tx_pkts - %lld", &count) == 1)
			break;
	fclose(file);
	return count;
}

/* Send one datagram and return the queue that it took, or -1. */
static int queue_of(int fd, int queues, const char *stats)
{
	long long before[FLOWS_MAX];
	int qp, tries;

	for (qp = 0; qp < queues; qp++)
		before[qp] = sent_by(stats, qp);
	if (send(fd, stats, 1, 0) != 1)
		return -1;
	for (tries = 0; tries < TRIES; tries++) {
		for (qp = 0; qp < queues; qp++)
			if (sent_by(stats, qp) != before[qp])
				return qp;
		usleep(1000);
	}
	return -1;
}

static int open_steered(int *fds, int flows, const struct sockaddr_in *peer,
			int queues, const char *stats)
{
	int i, tries, queue;

	for (i = 0; i < flows; i++) {
		for (tries = 0; tries < TRIES; tries++) {
			if (open_flows(&fds[i], 1, peer))
				return 1;
			queue = queue_of(fds[i], queues, stats);
			if (queue < 0)
				return fail("which queue");
			if (queue == i % queues)
				break;
			close(fds[i]);
		}
		if (tries == TRIES)
			return fail("no socket for a queue");
	}
	getchar();
	return 0;
}

/* A queue that stays stopped ends the flows: what was sent is the result. */
static int send_flows(const int *fds, int flows, long packets, int size, int gap)
{
	char data[SIZE_MAX_BYTES] = { 0 };
	long sent, total = packets * flows;
	double start = now();

	for (sent = 0; sent < total; sent++) {
		if (send(fds[sent % flows], data, size, 0) != size) {
			if (errno != EAGAIN)
				return fail("send");
			break;
		}
		if (gap)
			usleep(gap);
	}
	printf("%ld %.9f\n", sent, now() - start);
	return 0;
}

static int receive(const struct sockaddr_in *own, int idle)
{
	struct timeval first = { .tv_sec = FIRST_WAIT * idle };
	struct timeval timeout = { .tv_sec = idle };
	int buffer = RECEIVE_BUFFER;
	char data[SIZE_MAX_BYTES];
	long received = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (const void *)own, sizeof(*own)))
		return fail("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &first, sizeof(first));
	while (recv(fd, data, sizeof(data), 0) >= 0) {
		received++;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
			   sizeof(timeout));
	}
	printf("%ld\n", received);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fds[FLOWS_MAX];
	int flows, size, queues, steered;

	if (argc == 4 && !strcmp(argv[1], "channels"))
		return channels(argv[2], atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "receive")) {
		address.sin_port = htons(atoi(argv[2]));
		return receive(&address, atoi(argv[3]));
	}
	steered = argc == 10 && !strcmp(argv[1], "steer");
	if ((!steered && (argc != 8 || strcmp(argv[1], "send"))) ||
	    !inet_aton(argv[2], &address.sin_addr))
		return 2;
	address.sin_port = htons(atoi(argv[3]));
	flows = atoi(argv[4]);
	size = atoi(argv[6]);
	queues = steered ? atoi(argv[8]) : 1;
	if (flows < 1 || flows > FLOWS_MAX || size < 1 ||
	    size > SIZE_MAX_BYTES || queues < 1 || queues > FLOWS_MAX)
		return 2;
	if (steered ? open_steered(fds, flows, &address, queues, argv[9]) :
		      open_flows(fds, flows, &address))
		return 1;
	return send_flows(fds, flows, atol(argv[5]), size, atoi(argv[7]));
}
