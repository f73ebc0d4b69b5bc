// SPDX-License-Identifier: Apache-2.0
//
// POSIX access lists, which Java cannot reach. Where a file has one, the group bits of its mode are
// the mask of the list and not the rights of the group: to copy the mode without the list would
// open the file to the whole group.
#include <cstdint>

#include "blocksparse/blocksparse.h"

#if defined(__linux__)
#include <sys/types.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#endif

namespace {

#if defined(__linux__)

constexpr char kName[] = "system.posix_acl_access";
constexpr std::size_t kMostBytes = 65536;  // XATTR_SIZE_MAX

// The layout of linux/posix_acl_xattr.h: four bytes of the version, then entries of a tag,
// permissions and an id, of 2, 2 and 4 bytes. All numbers are little-endian and small: they fit one
// byte.
constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kEntryBytes = 8;
constexpr std::size_t kPermissions = 2;
constexpr char kGroup = 0x04;
constexpr char kMask = 0x10;
constexpr char kOthers = 0x20;

// Returns the permissions of a tag that an access list holds at most once; NULL if it holds none.
char* permissions_or_null(char* list, std::size_t bytes, char tag) {
  for (std::size_t at = kHeaderBytes; at + kEntryBytes <= bytes; at += kEntryBytes) {
    if (list[at] == tag) {
      return list + at + kPermissions;
    }
  }
  return nullptr;
}

// Fits a list to a file of another group.
void limit_group(char* list, std::size_t bytes) {
  char* const group = permissions_or_null(list, bytes, kGroup);
  char* const others = permissions_or_null(list, bytes, kOthers);
  const char* const mask = permissions_or_null(list, bytes, kMask);
  if (group != nullptr && others != nullptr) {
    *others = static_cast<char>(*others & *group & (mask == nullptr ? 7 : *mask));
    *group = 0;
  }
}

struct FreeMemory {
  void operator()(char* memory) const { std::free(memory); }
};

bool is_none(int error) { return error == ENODATA || error == EOPNOTSUPP; }

int32_t copy_list(const char* from, const char* to, bool same_group) {
  const std::unique_ptr<char, FreeMemory> list(static_cast<char*>(std::malloc(kMostBytes)));
  if (list == nullptr) {
    return BLOCKSPARSE_ACCESS_LIST_LOST;
  }
  const ssize_t bytes = lgetxattr(from, kName, list.get(), kMostBytes);
  if (bytes >= 0) {
    const auto size = static_cast<std::size_t>(bytes);
    if (!same_group) {
      limit_group(list.get(), size);
    }
    return lsetxattr(to, kName, list.get(), size, 0) == 0 ? BLOCKSPARSE_ACCESS_LIST_COPIED
                                                          : BLOCKSPARSE_ACCESS_LIST_LOST;
  }
  if (!is_none(errno)) {
    return BLOCKSPARSE_ACCESS_LIST_LOST;
  }
  // A new file takes the default list of its folder: removes it.
  return lremovexattr(to, kName) == 0 || is_none(errno) ? BLOCKSPARSE_ACCESS_LIST_NONE
                                                        : BLOCKSPARSE_ACCESS_LIST_LOST;
}

#else

// On macOS and Windows, access lists are separate from the mode.
int32_t copy_list(const char*, const char*, bool) { return BLOCKSPARSE_ACCESS_LIST_NONE; }

#endif

}  // namespace

int32_t blocksparse_copy_access_list(const char* from, const char* to, int32_t same_group) {
  return from == nullptr || to == nullptr ? BLOCKSPARSE_ACCESS_LIST_LOST
                                          : copy_list(from, to, same_group != 0);
}
