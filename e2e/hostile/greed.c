// A program that takes all it can get of one thing for a while: what the hostile machine of
// e2e/test_hostile.py runs while its neighbour is measured.
//
//   greed cpu SECONDS         four processes that only count
//   greed memory SECONDS      fills memory until it is killed for it, again and again
//   greed disk SECONDS        two processes that write and fsync, in small and in large pieces
//   greed logger SECONDS FD   lines of output to a descriptor of its own; says how many
//   greed forks SECONDS       a fork bomb
//   greed flood SECONDS IP PORT   UDP datagrams, two processes
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, SMALL = 4096, FILE_MIB = 32, DATAGRAM = 1400, LINES = 512 };
static const char kLine[] = "a line of output, one of a hundred thousand in a second\n";

static double end;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int time_left(void) {
  return now() < end;
}

static void count(void) {
  for (volatile unsigned long i = 0; time_left();) {
    for (int n = 0; n < 100000; ++n) ++i;
  }
}

// The kernel ends the child, not the server beside it, which has a lower score.
static void fill_memory(void) {
  while (time_left()) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) {
        char* const piece =
            mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED || !time_left()) _exit(0);
        memset(piece, 1, MIB);
      }
    }
    if (child > 0) waitpid(child, NULL, 0);
  }
}

static void write_and_sync(const char* path, size_t size) {
  char* const bytes = calloc(1, size);
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  off_t at = 0;
  while (time_left()) {
    if (pwrite(fd, bytes, size, at) < 0) exit(1);
    fsync(fd);
    at = (at + (off_t)size) % ((off_t)FILE_MIB * MIB);
  }
  unlink(path);
}

static void log_lines(int fd) {
  static char batch[LINES * sizeof kLine];
  for (int i = 0; i < LINES; ++i) strcat(batch + (size_t)i * (sizeof kLine - 1), kLine);
  const double start = now();
  long lines = 0;
  while (time_left()) {
    const ssize_t size = write(fd, batch, LINES * (sizeof kLine - 1));
    if (size < 0) exit(1);
    lines += size / (ssize_t)(sizeof kLine - 1);
  }
  printf("lines %ld seconds %.2f\n", lines, now() - start);
}

static void bomb(void) {
  while (time_left()) {
    if (fork() < 0) usleep(1000);
  }
}

static void flood(const char* ip, const char* port) {
  static char bytes[DATAGRAM];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  inet_pton(AF_INET, ip, &to.sin_addr);
  const int out = socket(AF_INET, SOCK_DGRAM, 0);
  while (time_left()) sendto(out, bytes, sizeof bytes, 0, (struct sockaddr*)&to, sizeof to);
}

static void take(char** words, int number) {
  const char* const what = words[1];
  if (!strcmp(what, "cpu")) count();
  if (!strcmp(what, "memory")) fill_memory();
  if (!strcmp(what, "disk")) write_and_sync(number ? "/greed.1" : "/greed.2", number ? MIB : SMALL);
  if (!strcmp(what, "logger")) log_lines(atoi(words[3]));
  if (!strcmp(what, "forks")) bomb();
  if (!strcmp(what, "flood")) flood(words[3], words[4]);
}

static int processes(const char* what) {
  if (!strcmp(what, "cpu")) return 4;
  return !strcmp(what, "disk") || !strcmp(what, "flood") ? 2 : 1;
}

static int operands(char** words) {
  if (words[1] == NULL) return 0;
  return !strcmp(words[1], "flood") ? 2 : !strcmp(words[1], "logger");
}

int main(int argc, char** argv) {
  if (argc < 3 + operands(argv)) return 2;
  end = now() + atof(argv[2]);
  const int score = open("/proc/self/oom_score_adj", O_WRONLY);
  if (score < 0 || write(score, "1000", 4) < 0) return 1;
  close(score);
  for (int i = 1; i < processes(argv[1]); ++i) {
    if (fork() == 0) {
      take(argv, i);
      return 0;
    }
  }
  take(argv, 0);
  while (wait(NULL) > 0 || errno == EINTR) {
  }
  return 0;
}
