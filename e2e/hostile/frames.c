// Frames that no honest guest sends, out of eth0: the hostile machine's weapon in
// e2e/test_hostile.py. Every frame carries MAGIC, by which a capture finds it.
//
//   frames udp SRC_MAC SRC_IP DST_IP PORT     one UDP packet as said (IPv4 or IPv6)
//   frames arp SRC_MAC SRC_IP DST_IP          an ARP request from, and an ARP answer for, SRC_IP
//   frames fuzz COUNT SEED DST_IP…            malformed Ethernet, ARP, IPv4, IPv6, ICMP, UDP, TCP
//
// SRC_MAC "-": eth0's own. All go to the gateway's hardware address; broadcasts go to all.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC "PERIGEE-PROBE"
enum { MAX_FRAME = 1514, ETHERNET = 14 };

static const uint8_t kGateway[6] = {0x06, 'p', 'g', 0, 0, 1};
static const uint8_t kBroadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static uint8_t own_mac[6];
static struct in_addr own_ip;
static int out;
static int eth0;

static void open_eth0(void) {
  struct ifreq request = {0};
  strcpy(request.ifr_name, "eth0");
  out = socket(AF_PACKET, SOCK_RAW, htons(3));
  if (out < 0 || ioctl(out, SIOCGIFHWADDR, &request) < 0) exit(1);
  memcpy(own_mac, request.ifr_hwaddr.sa_data, 6);
  eth0 = (int)if_nametoindex("eth0");
  const int any = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(any, SIOCGIFADDR, &request) == 0) {
    own_ip = ((struct sockaddr_in *)&request.ifr_addr)->sin_addr;
  }
  close(any);
}

static int sent;
static void send_frame(const uint8_t *frame, size_t size) {
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = eth0, .sll_halen = 6};
  memcpy(to.sll_addr, frame, 6);
  if (sendto(out, frame, size, 0, (struct sockaddr *)&to, sizeof to) == (ssize_t)size) ++sent;
}

static void parse_mac(const char *text, uint8_t *mac) {
  if (text[0] == '-') {
    memcpy(mac, own_mac, 6);
    return;
  }
  for (int i = 0; i < 6; ++i) mac[i] = (uint8_t)strtoul(text + 3 * i, NULL, 16);
}

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static unsigned sum(const uint8_t *bytes, size_t size, unsigned start) {
  unsigned total = start;
  for (size_t i = 0; i < size; ++i) total += i % 2 == 0 ? bytes[i] << 8U : bytes[i];
  while (total >> 16U) total = (total & 0xffffU) + (total >> 16U);
  return total;
}

static size_t ethernet(uint8_t *frame, const uint8_t *to, const uint8_t *from, unsigned type) {
  memcpy(frame, to, 6);
  memcpy(frame + 6, from, 6);
  put16(frame + 12, type);
  return ETHERNET;
}

static size_t udp_body(uint8_t *at, unsigned port) {
  const size_t size = 8 + sizeof MAGIC;
  put16(at, 40000);
  put16(at + 2, port);
  put16(at + 4, (unsigned)size);
  put16(at + 6, 0);
  memcpy(at + 8, MAGIC, sizeof MAGIC);
  return size;
}

static size_t ipv4(uint8_t *at, const void *from, const void *to, int protocol, size_t body) {
  memset(at, 0, 20);
  at[0] = 0x45;
  put16(at + 2, (unsigned)(20 + body));
  at[8] = 64;
  at[9] = (uint8_t)protocol;
  memcpy(at + 12, from, 4);
  memcpy(at + 16, to, 4);
  put16(at + 10, ~sum(at, 20, 0) & 0xffffU);
  return 20;
}

static size_t ipv6(uint8_t *at, const void *from, const void *to, int next, size_t body) {
  memset(at, 0, 40);
  at[0] = 0x60;
  put16(at + 4, (unsigned)body);
  at[6] = (uint8_t)next;
  at[7] = 64;
  memcpy(at + 8, from, 16);
  memcpy(at + 24, to, 16);
  return 40;
}

static void udp(const char *mac_text, const char *from_text, const char *to_text, unsigned port) {
  uint8_t frame[MAX_FRAME];
  uint8_t mac[6];
  uint8_t from[16];
  uint8_t to[16];
  parse_mac(mac_text, mac);
  const int family = strchr(to_text, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(family, from_text, from) != 1 || inet_pton(family, to_text, to) != 1) exit(2);
  size_t at = ethernet(frame, kGateway, mac, family == AF_INET ? 0x0800 : 0x86dd);
  const size_t header = family == AF_INET ? 20 : 40;
  const size_t body = udp_body(frame + at + header, port);
  if (family == AF_INET) {
    ipv4(frame + at, from, to, IPPROTO_UDP, body);
  } else {
    ipv6(frame + at, from, to, IPPROTO_UDP, body);
    uint8_t *udp_header = frame + at + header;  // IPv6 wants the checksum
    const unsigned pseudo = sum(frame + at + 8, 32, (unsigned)body + IPPROTO_UDP);
    put16(udp_header + 6, ~sum(udp_header, body, pseudo) & 0xffffU);
  }
  send_frame(frame, at + header + body);
}

static size_t arp(uint8_t *at, unsigned operation, const uint8_t *mac, const void *from,
                  const void *to) {
  put16(at, 1);
  put16(at + 2, 0x0800);
  at[4] = 6;
  at[5] = 4;
  put16(at + 6, operation);
  memcpy(at + 8, mac, 6);
  memcpy(at + 14, from, 4);
  memset(at + 18, 0, 6);
  memcpy(at + 24, to, 4);
  memcpy(at + 28, MAGIC, sizeof MAGIC);
  return 28 + sizeof MAGIC;
}

static void arps(const char *mac_text, const char *from_text, const char *to_text) {
  uint8_t frame[MAX_FRAME];
  uint8_t mac[6];
  struct in_addr from;
  struct in_addr to;
  parse_mac(mac_text, mac);
  if (inet_pton(AF_INET, from_text, &from) != 1 || inet_pton(AF_INET, to_text, &to) != 1) exit(2);
  for (unsigned operation = 1; operation <= 2; ++operation) {
    const size_t at = ethernet(frame, kBroadcast, mac, 0x0806);
    send_frame(frame, at + arp(frame + at, operation, mac, &from, operation == 1 ? &to : &from));
  }
}

static uint32_t state;
static uint32_t chance(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state % below;
}

// A whole frame of a kind, then bytes of its headers changed, then perhaps cut short.
static void malformed(const struct in_addr *targets, int count) {
  static const uint8_t kProtocols[] = {1, 6, 17, 2, 4, 41, 47, 50, 58, 89, 132, 255};
  static const unsigned kTypes[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8863,
                                    0x88cc, 0x8847, 0x0004, 0x05dc, 0x9000, 0x888e};
  uint8_t frame[MAX_FRAME];
  for (size_t i = 0; i < sizeof frame; ++i) frame[i] = (uint8_t)chance(256);
  const struct in_addr to = targets[chance((uint32_t)count)];
  const unsigned kind = chance(4);
  const unsigned type = kind == 0 ? kTypes[chance(12)] : kind == 1 ? 0x86dd : 0x0800;
  const size_t at = ethernet(frame, chance(8) ? kGateway : kBroadcast, own_mac, type);
  const size_t body = 8 + chance(600);
  const int protocol = kProtocols[chance(sizeof kProtocols)];
  size_t header = 0;
  if (type == 0x0800) header = ipv4(frame + at, &own_ip, &to, protocol, body);
  if (type == 0x0806) header = arp(frame + at, 1 + chance(2), own_mac, &own_ip, &to);
  if (type == 0x86dd) {
    uint8_t six[32];
    for (int i = 0; i < 32; ++i) six[i] = (uint8_t)chance(256);
    six[16] = 0xfd;
    header = ipv6(frame + at, six, six + 16, chance(2) ? protocol : 0, body);
  }
  memcpy(frame + at + header + 8, MAGIC, sizeof MAGIC);
  for (uint32_t i = chance(6); i > 0; --i) frame[at + chance(44)] = (uint8_t)chance(256);
  const size_t whole = at + header + body;
  send_frame(frame, chance(4) ? whole : ETHERNET + chance((uint32_t)(whole - ETHERNET)));
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  open_eth0();
  if (strcmp(argv[1], "udp") == 0 && argc == 6) {
    udp(argv[2], argv[3], argv[4], (unsigned)atoi(argv[5]));
  } else if (strcmp(argv[1], "arp") == 0 && argc == 5) {
    arps(argv[2], argv[3], argv[4]);
  } else if (strcmp(argv[1], "fuzz") == 0 && argc > 4) {
    struct in_addr targets[16];
    const int count = argc - 4 < 16 ? argc - 4 : 16;
    for (int i = 0; i < count; ++i) inet_pton(AF_INET, argv[4 + i], &targets[i]);
    state = (uint32_t)atoi(argv[3]) | 1U;
    for (int left = atoi(argv[2]); left > 0; --left) malformed(targets, count);
  } else {
    return 2;
  }
  printf("sent %d\n", sent);
  return sent == 0;
}
