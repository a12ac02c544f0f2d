// Interface ioctls and netlink dumps see the loopback.
#include "../case.h"
#include <netinet/in.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

int main(void) {
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r;
	memset(&r, 0, sizeof r);
	strcpy(r.ifr_name, "lo");
	OK(ioctl(s, SIOCGIFFLAGS, &r));
	YES(r.ifr_flags & IFF_UP && r.ifr_flags & IFF_LOOPBACK);
	OK(ioctl(s, SIOCGIFADDR, &r));
	SAY("%s", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	OK(ioctl(s, SIOCGIFNETMASK, &r));
	SAY("%s", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	OK(ioctl(s, SIOCGIFMTU, &r));
	SAY("%d", r.ifr_mtu);
	OK(ioctl(s, SIOCGIFINDEX, &r));
	SAY("%d", r.ifr_ifindex);
	OK(ioctl(s, SIOCGIFHWADDR, &r));
	SAY("family %d", r.ifr_hwaddr.sa_family);
	strcpy(r.ifr_name, "none0");
	OK(ioctl(s, SIOCGIFFLAGS, &r));
	VAL(if_nametoindex("lo"));
	VAL(if_nametoindex("none0"));
	struct ifaddrs *i, *p;
	OK(getifaddrs(&i));
	int v4 = 0, v6 = 0, lk = 0;
	for (p = i; p; p = p->ifa_next) if (!strcmp(p->ifa_name, "lo") && p->ifa_addr) {
		v4 += p->ifa_addr->sa_family == AF_INET;
		v6 += p->ifa_addr->sa_family == AF_INET6;
		lk += p->ifa_addr->sa_family == AF_PACKET;
	}
	SAY("lo: %d IPv4, %d IPv6, %d link", v4, v6, lk);
	int n = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	struct sockaddr_nl a = {AF_NETLINK};
	OK(bind(n, (void *)&a, sizeof a));
	socklen_t l = sizeof a;
	OK(getsockname(n, (void *)&a, &l));
	YES(a.nl_pid != 0);
	struct {
		struct nlmsghdr h;
		struct rtgenmsg g;
	} q = {{sizeof q, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0}, {AF_UNSPEC}};
	VAL(send(n, &q, sizeof q, 0));
	static char b[16384];
	ssize_t k = recv(n, b, sizeof b, 0);
	struct nlmsghdr *h = (void *)b;
	YES(h->nlmsg_type == RTM_NEWLINK && h->nlmsg_seq == 7);
	q.h.nlmsg_type = 9999;
	q.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	while (h->nlmsg_type != NLMSG_DONE && (k = recv(n, b, sizeof b, MSG_DONTWAIT)) > 0) h = (void *)b;
	send(n, &q, sizeof q, 0);
	do {
		k = recv(n, b, sizeof b, 0);
		h = (void *)b;
	} while (k > 0 && h->nlmsg_type != NLMSG_ERROR);
	SAY("%s", ename(-((struct nlmsgerr *)NLMSG_DATA(h))->error));
	OK(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE));
	OK(socket(AF_NETLINK, SOCK_RAW, 999));
	return 0;
}
