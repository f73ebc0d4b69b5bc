// SPDX-License-Identifier: Apache-2.0
// Checks blocksparse_copy_access_list: a file gets the list of another, or none.
#include <cstdint>
#include <cstdio>

#include "blocksparse/blocksparse.h"

#if defined(__linux__)
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("%s\n", what);
    ++failures;
  }
}

#if defined(__linux__)

constexpr char kName[] = "system.posix_acl_access";
const char* const kOld = "access_list_test.old";
const char* const kNew = "access_list_test.new";

// An entry of linux/posix_acl_xattr.h, in little-endian order.
struct Entry {
  std::uint16_t tag;
  std::uint16_t permissions;
  std::uint32_t id;
};
struct List {
  std::uint32_t version;
  Entry entries[5];
};
constexpr std::uint32_t kNobody = 0xffffffff;
constexpr List list_of(std::uint16_t group, std::uint16_t mask, std::uint16_t others) {
  return {2,
          {{1, 6, kNobody},
           {2, 4, 12345},
           {4, group, kNobody},
           {16, mask, kNobody},
           {32, others, kNobody}}};
}

void create(const char* path) {
  unlink(path);
  std::FILE* const file = std::fopen(path, "wb");
  check(file != nullptr, "cannot make a file");
  std::fclose(file);
}

bool has_list(const char* path, const List& expected) {
  List list;
  return lgetxattr(path, kName, &list, sizeof(list)) == sizeof(list) &&
         std::memcmp(&list, &expected, sizeof(list)) == 0;
}

bool has_none(const char* path) { return lgetxattr(path, kName, nullptr, 0) < 0; }

// Returns false where files have no lists.
bool set_list(const char* path, const List& list) {
  return lsetxattr(path, kName, &list, sizeof(list), 0) == 0;
}

void copies_lists() {
  create(kOld);
  create(kNew);
  check(blocksparse_copy_access_list(kOld, kNew, 1) == BLOCKSPARSE_ACCESS_LIST_NONE,
        "none to none");
  const List list = list_of(0, 4, 0);
  if (!set_list(kOld, list)) {
    check(errno == EOPNOTSUPP, "the list of the test is refused");
    std::printf("skipped: no access lists here\n");
    return;
  }
  check(blocksparse_copy_access_list(kOld, kNew, 1) == BLOCKSPARSE_ACCESS_LIST_COPIED, "copy");
  check(has_list(kNew, list), "the copy is another one");
  struct stat status;
  check(stat(kNew, &status) == 0 && (status.st_mode & 0777) == 0640, "the mode of the copy");
  for (std::uint16_t group = 0; group < 8; ++group) {
    for (std::uint16_t mask = 0; mask < 8; ++mask) {
      for (std::uint16_t others = 0; others < 8; ++others) {
        check(set_list(kOld, list_of(group, mask, others)) &&
                  blocksparse_copy_access_list(kOld, kNew, 0) == BLOCKSPARSE_ACCESS_LIST_COPIED,
              "copy for another group");
        const auto limited = static_cast<std::uint16_t>(group & mask & others);
        check(has_list(kNew, list_of(0, mask, limited)), "the copy for another group");
      }
    }
  }
  create(kOld);
  check(blocksparse_copy_access_list(kOld, kNew, 1) == BLOCKSPARSE_ACCESS_LIST_NONE, "remove");
  check(has_none(kNew), "the list is still there");
}

void tells_what_it_cannot_copy() {
  create(kOld);
  create(kNew);
  const bool has_lists = set_list(kOld, list_of(0, 4, 0));
  unlink(kNew);
  check(!has_lists || blocksparse_copy_access_list(kOld, kNew, 1) == BLOCKSPARSE_ACCESS_LIST_LOST,
        "to no file");
  unlink(kOld);
  create(kNew);
  check(blocksparse_copy_access_list(kOld, kNew, 1) == BLOCKSPARSE_ACCESS_LIST_LOST, "of no file");
  unlink(kNew);
}

#endif

}  // namespace

int main() {
#if defined(__linux__)
  copies_lists();
  tells_what_it_cannot_copy();
#else
  check(blocksparse_copy_access_list("one", "other", 1) == BLOCKSPARSE_ACCESS_LIST_NONE,
        "no lists");
#endif
  check(blocksparse_copy_access_list(nullptr, "other", 1) == BLOCKSPARSE_ACCESS_LIST_LOST,
        "no name");
  check(blocksparse_copy_access_list("one", nullptr, 1) == BLOCKSPARSE_ACCESS_LIST_LOST, "no name");
  return failures == 0 ? 0 : 1;
}
