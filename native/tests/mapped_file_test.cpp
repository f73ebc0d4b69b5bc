// SPDX-License-Identifier: Apache-2.0
// Checks blocksparse_map: the bytes of a file, rejected calls, copies of written pages, and a
// process that survives when the file shrinks.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "blocksparse/blocksparse.h"

#if defined(_WIN32)
#include <windows.h>

#include <cstring>
#include <string>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <utility>
#endif

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::printf("%s\n", what);
    ++failures;
  }
}

constexpr std::int64_t kBytes = 300001;
const char* const kPath = "mapped_file_test.bin";

unsigned char byte_at(std::int64_t i) { return static_cast<unsigned char>(i * 7 % 251 + 1); }

void write_file() {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(kBytes));
  for (std::int64_t i = 0; i < kBytes; ++i) {
    bytes[static_cast<std::size_t>(i)] = byte_at(i);
  }
  std::FILE* const file = std::fopen(kPath, "wb");
  check(file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(),
        "cannot write the file");
  std::fclose(file);
}

bool equals_file(const unsigned char* memory) {
  for (std::int64_t i = 0; i < kBytes; ++i) {
    if (memory[i] != byte_at(i)) {
      return false;
    }
  }
  return true;
}

unsigned char* map(std::int64_t bytes, bool copy_on_write) {
  return static_cast<unsigned char*>(blocksparse_map(kPath, bytes, copy_on_write ? 1 : 0));
}

#if !defined(_WIN32)

// Stands for the JVM's handler. The test fails if it is called too early, for a fault that is ours.
volatile std::sig_atomic_t others_fault_expected = 0;
void earlier_handler(int) { std::_Exit(failures == 0 && others_fault_expected == 1 ? 0 : 1); }

void shrinking_file() {
  write_file();
  unsigned char* const memory = map(kBytes, false);
  unsigned char* const writable = map(kBytes, true);
  check(memory != nullptr && writable != nullptr, "not mapped");
  writable[200000] = 99;
  check(blocksparse_map_is_damaged(memory) == 0, "damaged before the file shrank");
  check(truncate(kPath, kBytes - 1) == 0, "cannot truncate");
  check(blocksparse_map_is_damaged(memory) == 1, "a byte less is not seen");
  check(truncate(kPath, 100000) == 0, "cannot truncate");
  check(memory[50000] == byte_at(50000), "what is left cannot be read");
  check(memory[kBytes - 1] == 0 && memory[200000] == 0, "what is gone is not zero");
  check(writable[250000] == 0, "what is gone is not zero, copy on write");
  writable[260000] = 1;
  check(writable[260000] == 1, "what is gone cannot be written, copy on write");
  check(blocksparse_map_is_damaged(memory) == 1, "not damaged");
  // Lost bytes stay lost even if the file grows again: the mapping holds zeroes.
  check(truncate(kPath, kBytes) == 0, "cannot extend");
  check(blocksparse_map_is_damaged(memory) == 1, "mended by a file that grew again");
  check(blocksparse_map_is_damaged(writable) == 1, "mended, copy on write");
  blocksparse_unmap(memory);
  blocksparse_unmap(writable);

  // A new mapping is undamaged.
  write_file();
  unsigned char* const again = map(kBytes, false);
  check(again != nullptr && equals_file(again), "cannot be mapped again");
  check(blocksparse_map_is_damaged(again) == 0, "damaged at once");
  blocksparse_unmap(again);
}

// Mappings of whole pages have no byte between them: the mapping that begins where another ends is
// not mistaken for it, though the other comes first in the table.
void neighbouring_mappings() {
  constexpr std::int64_t kWholePages = 1 << 20;
  check(truncate(kPath, kWholePages) == 0, "cannot extend");
  // Systems place each mapping below the last one, or in a hole left by a library's thread or a
  // sanitizer. The first entry of the table is reused, but not its addresses, until it lies below
  // another.
  constexpr int kMost = 500;
  std::vector<unsigned char*> mappings;
  std::vector<unsigned char*> held;
  unsigned char* low = map(kWholePages, false);
  unsigned char* high = nullptr;
  while (low != nullptr && high == nullptr && held.size() < kMost) {
    mappings.push_back(map(kWholePages, false));
    for (unsigned char*& mapping : mappings) {
      if (mapping == low + kWholePages) {
        std::swap(mapping, high);
        break;
      }
    }
    if (high == nullptr) {
      blocksparse_unmap(low);
      check(mmap(low, kWholePages, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == low,
            "not in the place of the first");
      held.push_back(low);
      low = map(kWholePages, false);
    }
  }
  check(high != nullptr, "no neighbours");
  blocksparse_unmap(high);
  check(blocksparse_map_is_damaged(low) == 0, "damaged by its neighbour");
  check(truncate(kPath, 0) == 0, "cannot truncate");
  if (high != nullptr) {
    check(blocksparse_map_is_damaged(low) == 1, "gone with its neighbour");
    check(low[kWholePages - 1] == 0, "what is gone is not zero");
  }
  blocksparse_unmap(low);
  for (unsigned char* const mapping : mappings) {
    blocksparse_unmap(mapping);
  }
  for (unsigned char* const place : held) {
    munmap(place, kWholePages);
  }
  write_file();
}

// Returns the lowest free number: it grows when a file is left open.
int next_descriptor() {
  const int file = open(kPath, O_RDONLY);
  close(file);
  return file;
}

// Maps more files at a time than some tables of the library hold, as far as the limit of open files
// allows.
void many_mappings() {
  constexpr rlim_t kTable = 1024;
  constexpr rlim_t kMany = 5000;
  constexpr rlim_t kOtherFiles = 100;
  struct rlimit limit;
  check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "no limit");
  limit.rlim_cur = std::min(limit.rlim_max, kMany + kOtherFiles);
  check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit cannot be set");
  const rlim_t most = std::max(limit.rlim_cur, kOtherFiles + 1) - kOtherFiles;
  if (most <= kTable) {
    std::printf("skipped: a second table, as there may be %lld open files\n",
                static_cast<long long>(limit.rlim_cur));
  }
  const int before = next_descriptor();
  std::vector<unsigned char*> mappings;
  for (rlim_t i = 0; i < most; ++i) {
    mappings.push_back(map(kBytes, false));
    check(mappings.back() != nullptr && mappings.back()[i] == byte_at(static_cast<std::int64_t>(i)),
          "one of many at once");
  }
  check(truncate(kPath, 100000) == 0, "cannot truncate");
  check(mappings.back()[200000] == 0, "the last of many is not taken care of");
  check(blocksparse_map_is_damaged(mappings.back()) == 1, "the last of many is not damaged");
  for (unsigned char* const mapping : mappings) {
    blocksparse_unmap(mapping);
  }
  check(next_descriptor() == before, "files are left open");
  write_file();
}

#else

// Returns the name with the prefix; only functions for wide characters accept it.
std::wstring long_name(const std::string& name) {
  return L"\\\\?\\" + std::wstring(name.begin(), name.end());
}

// A path longer than Windows allows without a prefix, with a part that must be removed first.
void long_path() {
  constexpr int kFolders = 6;
  const std::string name(60, 'n');
  char start[MAX_PATH];
  check(GetCurrentDirectoryA(MAX_PATH, start) > 0, "no folder");
  std::string folders[kFolders + 1] = {std::string(start)};
  for (int i = 0; i < kFolders; ++i) {
    folders[i + 1] = folders[i] + "\\" + name;
    CreateDirectoryW(long_name(folders[i + 1]).c_str(), nullptr);
  }
  const std::wstring file = long_name(folders[kFolders] + "\\file");
  check(
      CopyFileW(std::wstring(kPath, kPath + std::strlen(kPath)).c_str(), file.c_str(), FALSE) != 0,
      "cannot copy the file");
  const std::string path = folders[kFolders] + "\\.\\file";
  unsigned char* const memory =
      static_cast<unsigned char*>(blocksparse_map(path.c_str(), kBytes, 0));
  check(memory != nullptr && equals_file(memory), "not the bytes of a file with a long name");
  blocksparse_unmap(memory);
  DeleteFileW(file.c_str());
  for (int i = kFolders; i > 0; --i) {
    RemoveDirectoryW(long_name(folders[i]).c_str());
  }
}

#endif

}  // namespace

int main() {
#if !defined(_WIN32)
  std::signal(SIGBUS, earlier_handler);
#endif
  write_file();
  unsigned char* const memory = map(kBytes, false);
  check(memory != nullptr && equals_file(memory), "not the bytes of the file");
  check(reinterpret_cast<std::uintptr_t>(memory) % 4096 == 0, "not aligned");
  check(blocksparse_map_is_damaged(memory) == 0, "damaged");
  unsigned char* const writable = map(kBytes, true);
  check(writable != nullptr && equals_file(writable), "not the bytes of the file, copy on write");
  writable[1000] = 0;
  check(writable[1000] == 0 && equals_file(memory), "a write reached the file");
  blocksparse_unmap(writable);
  blocksparse_unmap(memory);
  blocksparse_unmap(nullptr);

  check(map(kBytes + 1, false) == nullptr, "longer than the file");
  check(map(kBytes - 1, false) == nullptr, "shorter than the file");
  check(map(0, false) == nullptr && map(-1, false) == nullptr, "no bytes");
  check(map(INT64_MAX, false) == nullptr, "more than there is");
  check(blocksparse_map("no/such/file", 1, 0) == nullptr, "no file");
  check(blocksparse_map(".", 1, 0) == nullptr, "a folder");
  check(blocksparse_map(nullptr, 1, 0) == nullptr, "no path");

#if !defined(_WIN32)
  const int before = next_descriptor();
#endif
  // Entries are reused: more mappings, one after the other, than may exist at a time.
  for (int i = 0; i < 10000; ++i) {
    unsigned char* const one = map(kBytes, false);
    check(one != nullptr && one[0] == byte_at(0), "one of many");
    blocksparse_unmap(one);
  }
#if !defined(_WIN32)
  check(next_descriptor() == before, "files are left open");
#endif

#if !defined(_WIN32)
  shrinking_file();
  neighbouring_mappings();
  many_mappings();
  std::remove(kPath);
  std::printf("%d failures so far\n", failures);
  std::fflush(stdout);
  // A fault that is not ours reaches the earlier handler, which ends the program.
  others_fault_expected = 1;
  std::raise(SIGBUS);
  return 2;
#else
  long_path();
  std::remove(kPath);
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
#endif
}
