// Lists a tree of files with everything that an image says of them: what e2e/test_corpus.py compares
// inside a VM and outside.
//
//   list_tree ROOT     one line per path; what is mounted below ROOT is not entered
//
// A line is fields with tabs between them: path, type, permissions, owner, group, mtime, inode,
// then of its kind "SIZE SHA256" (file), target (link), "MAJOR:MINOR" (device) or nothing, then each
// attribute as NAME=HEX. Bytes that would break a line, and all that are not ASCII, are \xNN.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 64, MAX_XATTRS = 65536 };

static size_t root_length;
static dev_t root_device;

static void give_up(const char *what, const char *path) {
  fprintf(stderr, "list_tree: %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

static void put_bytes(const char *text, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    const unsigned char c = (unsigned char)text[i];
    if (c > ' ' && c < 0x7f && c != '\\') {
      putchar(c);
    } else {
      printf("\\x%02x", c);
    }
  }
}

static void put_hex(const unsigned char *bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) printf("%02x", bytes[i]);
}

static char type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return 'f';
    case S_IFDIR: return 'd';
    case S_IFLNK: return 'l';
    case S_IFCHR: return 'c';
    case S_IFBLK: return 'b';
    case S_IFIFO: return 'p';
    default: return '?';
  }
}

static void put_content(const char *path) {
  static unsigned char buffer[1 << 16];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int digest_size = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) give_up("open", path);
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) EVP_DigestUpdate(hash, buffer, (size_t)got);
  if (got < 0) give_up("read", path);
  EVP_DigestFinal_ex(hash, digest, &digest_size);
  EVP_MD_CTX_free(hash);
  close(fd);
  put_hex(digest, digest_size);
}

static void put_target(const char *path) {
  char target[4097];
  const ssize_t size = readlink(path, target, sizeof target);
  if (size < 0) give_up("readlink", path);
  put_bytes(target, (size_t)size);
}

static void put_xattrs(const char *path) {
  static char names[MAX_XATTRS];
  static unsigned char value[MAX_XATTRS];
  const ssize_t size = llistxattr(path, names, sizeof names);
  if (size < 0) give_up("listxattr", path);
  for (const char *name = names; name < names + size; name += strlen(name) + 1) {
    const ssize_t length = lgetxattr(path, name, value, sizeof value);
    if (length < 0) give_up(name, path);
    putchar('\t');
    put_bytes(name, strlen(name));
    putchar('=');
    put_hex(value, (size_t)length);
  }
}

static int put_line(const char *path, const struct stat *info, int flag, struct FTW *walk) {
  (void)walk;
  if (flag == FTW_NS || flag == FTW_DNR) give_up("stat", path);
  const char *relative = path[root_length] == '\0' ? "/" : path + root_length;
  put_bytes(relative, strlen(relative));
  printf("\t%c\t%04o\t%u\t%u\t%lld.%09ld\t%llx:%llx\t", type_of(info->st_mode),
         (unsigned)info->st_mode & 07777, info->st_uid, info->st_gid,
         (long long)info->st_mtim.tv_sec, info->st_mtim.tv_nsec, (unsigned long long)info->st_dev,
         (unsigned long long)info->st_ino);
  if (S_ISREG(info->st_mode)) {
    printf("%llu ", (unsigned long long)info->st_size);
    put_content(path);
  } else if (S_ISLNK(info->st_mode)) {
    put_target(path);
  } else if (S_ISCHR(info->st_mode) || S_ISBLK(info->st_mode)) {
    printf("%u:%u", major(info->st_rdev), minor(info->st_rdev));
  }
  put_xattrs(path);
  putchar('\n');
  // Files of an overlay may be of other devices than its directories.
  return S_ISDIR(info->st_mode) && info->st_dev != root_device ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: list_tree ROOT\n");
    return 2;
  }
  struct stat root;
  if (stat(argv[1], &root) != 0) give_up("stat", argv[1]);
  root_device = root.st_dev;
  root_length = strcmp(argv[1], "/") == 0 ? 0 : strlen(argv[1]);
  const int how = FTW_PHYS | FTW_ACTIONRETVAL;
  if (nftw(argv[1], put_line, MAX_DESCRIPTORS, how) != 0) give_up("walk", argv[1]);
  return fflush(stdout) == 0 ? 0 : 1;
}
