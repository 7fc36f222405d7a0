/* The least that boots the same app from the same disks: PID 1 of the virtual machine that
 * tools/bench/vm.py measures Perigee's cold start against. It loads modules, joins the layer disks
 * and the upper disk by overlayfs, sets the address, and runs the app. No control channel, no logs,
 * no user, no reaping.
 *
 *   bare.layers=2 bare.ip=10.1.0.2 bare.gateway=10.1.0.1 bare.app=/bin/httpd,-f,-p,8080
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kMaxArguments = 32, kMaxLine = 4096, kDeviceWaits = 5000 };

static char command_line[kMaxLine];

static void give_up(const char* what) {
  perror(what);
  reboot(LINUX_REBOOT_CMD_RESTART);
}

/* The value of `key` ("bare.ip=") on the kernel's command line, ended by a zero byte. */
static char* parameter(const char* key) {
  static char copy[kMaxLine];
  strcpy(copy, command_line);
  for (char* word = strtok(copy, " \n"); word != NULL; word = strtok(NULL, " \n")) {
    if (strncmp(word, key, strlen(key)) == 0) return strdup(word + strlen(key));
  }
  give_up(key);
  return NULL;
}

static void read_command_line(void) {
  const int fd = open("/proc/cmdline", O_RDONLY);
  if (fd < 0 || read(fd, command_line, sizeof command_line - 1) < 0) give_up("/proc/cmdline");
  close(fd);
}

static void load_modules(void) {
  FILE* order = fopen("/lib/modules.order", "r");
  char name[128];
  char path[192];
  if (order == NULL) give_up("/lib/modules.order");
  while (fscanf(order, "%127s", name) == 1) {
    snprintf(path, sizeof path, "/lib/modules/%s.ko", name);
    const int fd = open(path, O_RDONLY);
    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0) give_up(path);
    close(fd);
  }
  fclose(order);
}

static void mount_disk(int index, const char* type, const char* target, unsigned long flags) {
  char device[] = "/dev/vda";
  device[sizeof device - 2] = (char)('a' + index);
  for (int i = 0; access(device, F_OK) != 0 && i < kDeviceWaits; ++i) usleep(200);
  mkdir(target, 0755);
  if (mount(device, target, type, flags, "") != 0) give_up(device);
}

static void mount_root(int layers) {
  char options[kMaxLine] = "lowerdir=";
  char target[32];
  for (int i = layers - 1; i >= 0; --i) {
    snprintf(target, sizeof target, "/layer%d", i);
    mount_disk(i, "erofs", target, MS_RDONLY);
    strcat(options, target);
    if (i > 0) strcat(options, ":");
  }
  mount_disk(layers, "ext4", "/upper", 0);
  mkdir("/upper/data", 0755);
  mkdir("/upper/work", 0755);
  mkdir("/root", 0755);
  strcat(options, ",upperdir=/upper/data,workdir=/upper/work");
  if (mount("overlay", "/root", "overlay", 0, options) != 0) give_up("overlay");
}

static void set_address(struct sockaddr* raw, const char* text) {
  struct sockaddr_in* address = (struct sockaddr_in*)raw;
  address->sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &address->sin_addr) != 1) give_up(text);
}

static void link_up(int fd, const char* name, const char* address) {
  struct ifreq request = {0};
  strcpy(request.ifr_name, name);
  if (address != NULL) {
    set_address(&request.ifr_addr, address);
    if (ioctl(fd, SIOCSIFADDR, &request) != 0) give_up(name);
    set_address(&request.ifr_netmask, "255.255.255.0");
    if (ioctl(fd, SIOCSIFNETMASK, &request) != 0) give_up(name);
  }
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) give_up(name);
}

static void set_network(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct rtentry route = {0};
  link_up(fd, "lo", NULL);
  link_up(fd, "eth0", parameter("bare.ip="));
  set_address(&route.rt_dst, "0.0.0.0");
  set_address(&route.rt_genmask, "0.0.0.0");
  set_address(&route.rt_gateway, parameter("bare.gateway="));
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  if (ioctl(fd, SIOCADDRT, &route) != 0) give_up("default route");
  close(fd);
}

static void enter_root(void) {
  const char* kept[] = {"/proc", "/dev"};
  char target[32];
  for (int i = 0; i < 2; ++i) {
    snprintf(target, sizeof target, "/root%s", kept[i]);
    mkdir(target, 0755);
    if (mount(kept[i], target, NULL, MS_MOVE, NULL) != 0) give_up(target);
  }
  if (chdir("/root") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0) {
    give_up("enter the root");
  }
}

static void run_app(void) {
  char* words[kMaxArguments + 1] = {0};
  int count = 0;
  for (char* word = strtok(parameter("bare.app="), ","); word != NULL && count < kMaxArguments;
       word = strtok(NULL, ",")) {
    words[count++] = word;
  }
  if (fork() == 0) {
    setsid();
    execv(words[0], words);
    _exit(127);
  }
  wait(NULL);
  give_up("the app ended");
}

int main(void) {
  mkdir("/proc", 0755);
  mkdir("/dev", 0755);
  if (mount("proc", "/proc", "proc", 0, NULL) != 0) give_up("/proc");
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL); /* the kernel may have done it */
  const int console = open("/dev/console", O_RDWR);
  for (int fd = 0; fd < 3 && console >= 0; ++fd) dup2(console, fd);
  read_command_line();
  load_modules();
  mount_root(atoi(parameter("bare.layers=")));
  set_network();
  enter_root();
  run_app();
}
