/* The kernel calls of a lab's bring-up and teardown, and nothing else: for netlab.bench.floor.
 *
 *     floor CONTAINERS
 *
 * One thread makes a namespace for the host, a client, and each container; a bridge for each thousand of them; a
 * veth pair for each container, with its port; and in each container what netlab gives it: lo and eth0 up, an
 * address and a default route of both families, one setting. The requests of a namespace go out in one batch.
 * It prints the seconds that took, and waits for the end of its input; its end takes everything down.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PER_BRIDGE = 1000, BATCH = 64 << 10, BRIDGES_FROM = 10, PORTS_FROM = 100, ETH0 = 2 };

static char batch[BATCH + 4096];
static size_t used;
static int requests;
static struct nlmsghdr *now;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void begin(int type, int flags, const void *head, size_t size)
{
    now = (struct nlmsghdr *)(batch + used);
    memset(now, 0, NLMSG_SPACE(size));
    now->nlmsg_type = type;
    now->nlmsg_flags = NLM_F_REQUEST | flags;
    memcpy(NLMSG_DATA(now), head, size);
    now->nlmsg_len = NLMSG_SPACE(size);
}

static struct rtattr *attribute(int type, const void *value, size_t size)
{
    struct rtattr *one = (struct rtattr *)((char *)now + NLMSG_ALIGN(now->nlmsg_len));
    one->rta_type = type;
    one->rta_len = RTA_LENGTH(size);
    if (size)
        memcpy(RTA_DATA(one), value, size);
    now->nlmsg_len = NLMSG_ALIGN(now->nlmsg_len) + RTA_SPACE(size);
    return one;
}

static void close_nest(struct rtattr *one)
{
    one->rta_len = (char *)now + now->nlmsg_len - (char *)one;
}

static void flush(int sock)
{
    char answer[BATCH];
    if (!used)
        return;
    if (send(sock, batch, used, 0) < 0)
        fail("send");
    /* Only the last request asks for an answer: the kernel works through a batch in order. */
    ssize_t got = recv(sock, answer, sizeof answer, 0);
    for (struct nlmsghdr *one = (struct nlmsghdr *)answer; NLMSG_OK(one, got); one = NLMSG_NEXT(one, got)) {
        struct nlmsgerr *said = NLMSG_DATA(one);
        if (one->nlmsg_type == NLMSG_ERROR && said->error) {
            errno = -said->error;
            fail("a request");
        }
    }
    used = 0;
    requests = 0;
}

static void end(int sock)
{
    used += NLMSG_ALIGN(now->nlmsg_len);
    requests++;
    if (used > BATCH) {
        now->nlmsg_flags |= NLM_F_ACK;
        flush(sock);
    }
}

static void finish(int sock)
{
    if (used) {
        now->nlmsg_flags |= NLM_F_ACK;
        flush(sock);
    }
}

static void up(int sock, int index, int master)
{
    struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(RTM_NEWLINK, 0, &head, sizeof head);
    if (master)
        attribute(IFLA_MASTER, &master, sizeof master);
    end(sock);
}

static void bridge(int sock, int index)
{
    struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    char name[IFNAMSIZ];
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    snprintf(name, sizeof name, "br%d", index);
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
    attribute(IFLA_INFO_KIND, "bridge", 6);
    close_nest(info);
    end(sock);
}

static void veth(int sock, int index, int master, int peer)
{
    struct ifinfomsg head = {.ifi_index = index}, far = {.ifi_index = ETH0};
    char name[IFNAMSIZ];
    unsigned char mac[6] = {2, 66, 10, 1, index >> 8, index};
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    snprintf(name, sizeof name, "veth%x", index);
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    attribute(IFLA_ADDRESS, mac, sizeof mac);
    struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
    attribute(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = attribute(IFLA_INFO_DATA, NULL, 0);
    struct rtattr *other = attribute(VETH_INFO_PEER, &far, sizeof far);
    mac[0] = 6;
    attribute(IFLA_IFNAME, "eth0", 5);
    attribute(IFLA_ADDRESS, mac, sizeof mac);
    attribute(IFLA_NET_NS_FD, &peer, sizeof peer);
    close_nest(other);
    close_nest(data);
    close_nest(info);
    end(sock);
    if (master)
        up(sock, index, master);
}

static void address(int sock, int index, int family, const char *text, int length)
{
    struct ifaddrmsg head = {.ifa_family = family, .ifa_prefixlen = length, .ifa_index = index};
    unsigned char value[16];
    size_t size = family == AF_INET ? 4 : 16;
    if (inet_pton(family, text, value) != 1)
        fail(text);
    if (family == AF_INET6)
        head.ifa_flags = IFA_F_NODAD;
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    attribute(IFA_LOCAL, value, size);
    attribute(IFA_ADDRESS, value, size);
    end(sock);
}

static void gateway(int sock, int family, const char *text)
{
    struct rtmsg head = {.rtm_family = family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                         .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    unsigned char value[16];
    if (inet_pton(family, text, value) != 1)
        fail(text);
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    attribute(RTA_GATEWAY, value, family == AF_INET ? 4 : 16);
    end(sock);
}

static int namespace(void)
{
    if (unshare(CLONE_NEWNET))
        fail("unshare");
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail("the namespace");
    return fd;
}

static void enter(int fd)
{
    if (setns(fd, CLONE_NEWNET))
        fail("setns");
}

static int route(void)
{
    int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (sock < 0)
        fail("socket");
    return sock;
}

static void setting(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        fail(path);
    close(fd);
}

static void container(int fd, int number)
{
    char text[INET6_ADDRSTRLEN];
    int net = number / PER_BRIDGE + 1, place = number % PER_BRIDGE + 2;
    enter(fd);
    int sock = route();
    up(sock, 1, 0);
    up(sock, ETH0, 0);
    snprintf(text, sizeof text, "10.%d.%d.%d", net, place >> 8, place & 255);
    address(sock, ETH0, AF_INET, text, 16);
    snprintf(text, sizeof text, "fd00:%d::%x", net, place);
    address(sock, ETH0, AF_INET6, text, 64);
    snprintf(text, sizeof text, "10.%d.0.1", net);
    gateway(sock, AF_INET, text);
    snprintf(text, sizeof text, "fd00:%d::1", net);
    gateway(sock, AF_INET6, text);
    finish(sock);
    close(sock);
    setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 64))
        fail("listen");
}

int main(int count, char **words)
{
    int size = count > 1 ? atoi(words[1]) : 10, bridges = (size + PER_BRIDGE - 1) / PER_BRIDGE;
    int *spaces = calloc(size, sizeof *spaces);
    struct rlimit most = {1 << 16, 1 << 16};
    struct timespec from, to;
    setrlimit(RLIMIT_NOFILE, &most);
    clock_gettime(CLOCK_MONOTONIC, &from);
    int host = namespace();
    for (int number = 0; number < size; number++)
        spaces[number] = namespace();
    enter(host);
    setting("/proc/sys/net/ipv4/ip_forward", "1");
    setting("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    int sock = route();
    up(sock, 1, 0);
    for (int number = 0; number < bridges; number++)
        bridge(sock, BRIDGES_FROM + number);
    for (int number = 0; number < size; number++)
        veth(sock, PORTS_FROM + number, BRIDGES_FROM + number / PER_BRIDGE, spaces[number]);
    finish(sock);
    for (int number = 0; number < size; number++)
        container(spaces[number], number);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.9f\n", to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
