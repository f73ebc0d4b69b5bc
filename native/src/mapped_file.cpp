// SPDX-License-Identifier: Apache-2.0
//
// Memory-mapped files, and protection against files that shrink. Touching a page beyond the end of
// its file raises SIGBUS, which would end the process. Checking the size first does not help: the
// file may shrink a moment later. So a handler catches the signal: on a fault within one of our
// mappings it maps zeroes in place of the lost pages, marks the mapping as damaged, and resumes the
// instruction. Java checks the mark, and the size of the file (a shorter last page raises no
// signal), after every operation. Every other fault is passed on to the previous handler, that of
// the JVM. Windows needs no handler: there, a file cannot shrink while it is mapped.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "blocksparse/blocksparse.h"

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <cstdlib>
#include <cwchar>
#include <memory>
#else
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#endif

namespace {

bool fits(int64_t bytes) {
  return bytes > 0 && static_cast<std::uint64_t>(bytes) <=
                          static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max());
}

#if defined(_WIN32)

// A handle that every way out of its scope closes.
struct Handle {
  HANDLE value;
  explicit Handle(HANDLE handle) : value(handle) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (is_open()) {
      CloseHandle(value);
    }
  }
  bool is_open() const { return value != nullptr && value != INVALID_HANDLE_VALUE; }
};

constexpr int kLongestPath = 32768;  // the limit of Windows itself, in UTF-16 units
constexpr std::size_t kPrefixRoom = 8;

struct FreeMemory {
  void operator()(wchar_t* memory) const { std::free(memory); }
};
using WidePath = std::unique_ptr<wchar_t[], FreeMemory>;

// Allocated on the heap: two of them are 128 KB.
WidePath room_for_path() {
  constexpr std::size_t kBytes = sizeof(wchar_t) * (kPrefixRoom + kLongestPath);
  return WidePath(static_cast<wchar_t*>(std::malloc(kBytes)));
}

HANDLE open_as_named(const wchar_t* name) {
  return CreateFileW(name, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr,
                     OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
}

// From MAX_PATH on, Windows wants a prefix, after which it takes a name literally: absolute,
// without "/" and "..".
HANDLE open_long(const wchar_t* given) {
  const WidePath full = room_for_path();
  if (full == nullptr) {
    return INVALID_HANDLE_VALUE;
  }
  wchar_t* name = full.get() + kPrefixRoom;
  const DWORD length = GetFullPathNameW(given, kLongestPath, name, nullptr);
  if (length == 0 || length >= kLongestPath) {
    return INVALID_HANDLE_VALUE;
  }
  const auto put_before = [&name](const wchar_t* prefix) {
    const std::size_t letters = std::wcslen(prefix);
    name -= letters;
    std::wmemcpy(name, prefix, letters);
  };
  if (std::wcsncmp(name, L"\\\\", 2) != 0) {
    put_before(L"\\\\?\\");
  } else if (name[2] != L'?' && name[2] != L'.') {  // a server and not a prefix
    name += 1;
    put_before(L"\\\\?\\UNC");
  }
  return open_as_named(name);
}

HANDLE open_file(const char* path) {
  const WidePath wide = room_for_path();
  if (wide == nullptr ||
      MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide.get(), kLongestPath) == 0) {
    return INVALID_HANDLE_VALUE;
  }
  return std::wcslen(wide.get()) < MAX_PATH ? open_as_named(wide.get()) : open_long(wide.get());
}

void* map_file(const char* path, int64_t bytes, bool copy_on_write) {
  const Handle file(open_file(path));
  LARGE_INTEGER size;
  if (!file.is_open() || !GetFileSizeEx(file.value, &size) || size.QuadPart != bytes) {
    return nullptr;
  }
  const Handle section(CreateFileMappingW(
      file.value, nullptr, copy_on_write ? PAGE_WRITECOPY : PAGE_READONLY, 0, 0, nullptr));
  if (!section.is_open()) {
    return nullptr;
  }
  // The view keeps the file open by itself.
  return MapViewOfFile(section.value, copy_on_write ? FILE_MAP_COPY : FILE_MAP_READ, 0, 0,
                       static_cast<SIZE_T>(bytes));
}

#else

// A mapping as the signal handler sees it. `begin` is set last and cleared first.
struct Mapping {
  std::atomic<char*> begin;
  std::atomic<std::size_t> bytes;
  std::atomic<int> file;
  std::atomic<bool> damaged;
};

// A part of the list of mappings, never freed and never moved: a signal handler can neither wait
// for a lock nor follow memory that may be freed. A full table is followed by another one.
struct Table {
  Mapping mappings[1024];
  std::atomic<Table*> next;
};
Table first_table;
// Marks an entry that is being filled; it is no address of a mapping.
char reserved_mark;

struct sigaction previous_action;

Mapping* find(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  for (Table* table = &first_table; table != nullptr; table = table->next.load()) {
    for (Mapping& mapping : table->mappings) {
      char* const begin = mapping.begin.load(std::memory_order_acquire);
      if (begin != nullptr && begin != &reserved_mark) {
        const auto first = reinterpret_cast<std::uintptr_t>(begin);
        if (wanted >= first && wanted - first < mapping.bytes.load(std::memory_order_relaxed)) {
          return &mapping;
        }
      }
    }
  }
  return nullptr;
}

void pass_on(int signal_number, siginfo_t* info, void* context) {
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal_number, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal_number);
  } else {
    // The instruction runs again when this returns, and then ends the process by default.
    signal(signal_number, SIG_DFL);
  }
}

void on_bus_error(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  bool mended = false;
  if (Mapping* const mapping = find(info->si_addr)) {
    mapping->damaged.store(true);
    char* const begin = mapping->begin.load();
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t from =
        static_cast<std::size_t>(static_cast<char*>(info->si_addr) - begin) / page * page;
    // Replaces all pages up to the end: a file loses its end.
    mended = mmap(begin + from, mapping->bytes.load() - from, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  errno = saved_errno;
  if (!mended) {
    pass_on(signal_number, info, context);
  }
}

// A JVM unloads this library together with the class loader that loaded it, but the handler may be
// called at any time later. One more reference, which is never released, keeps the library loaded.
bool stay_loaded() {
  Dl_info self;
  return dladdr(reinterpret_cast<void*>(&on_bus_error), &self) != 0 &&
         dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD) != nullptr;
}

bool install_handler() {
  if (!stay_loaded() || sigaction(SIGBUS, nullptr, &previous_action) != 0) {
    return false;
  }
  // Sets the mask and the stack of the earlier handler, so that it runs as if it had been called
  // first.
  struct sigaction action = previous_action;
  action.sa_sigaction = on_bus_error;
  action.sa_flags |= SA_SIGINFO;
  return sigaction(SIGBUS, &action, nullptr) == 0;
}

// Returns the table that follows one; NULL if there is no memory for it.
Table* next_of(Table& table) {
  Table* next = table.next.load();
  if (next == nullptr) {
    Table* const made = static_cast<Table*>(std::calloc(1, sizeof(Table)));
    if (made != nullptr && !table.next.compare_exchange_strong(next, made)) {
      std::free(made);  // another thread was first
      return next;
    }
    next = made;
  }
  return next;
}

Mapping* reserve() {
  for (Table* table = &first_table; table != nullptr; table = next_of(*table)) {
    for (Mapping& mapping : table->mappings) {
      char* expected = nullptr;
      if (mapping.begin.compare_exchange_strong(expected, &reserved_mark)) {
        return &mapping;
      }
    }
  }
  return nullptr;
}

void* map_file(const char* path, int64_t bytes, bool copy_on_write) {
  static const bool installed = install_handler();
  Mapping* const mapping = installed ? reserve() : nullptr;
  if (mapping == nullptr) {
    return nullptr;
  }
  const auto size = static_cast<std::size_t>(bytes);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  void* memory = MAP_FAILED;
  struct stat status;
  if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size == bytes) {
    // Private in either case: unwritten pages are shared with all processes that map the file.
    memory = mmap(nullptr, size, copy_on_write ? PROT_READ | PROT_WRITE : PROT_READ,
                  copy_on_write ? MAP_PRIVATE | MAP_NORESERVE : MAP_PRIVATE, file, 0);
  }
  if (memory == MAP_FAILED) {
    if (file >= 0) {
      close(file);
    }
    mapping->begin.store(nullptr);
    return nullptr;
  }
  mapping->bytes.store(size);
  mapping->file.store(file);
  mapping->damaged.store(false);
  mapping->begin.store(static_cast<char*>(memory));
  return memory;
}

bool is_damaged(const Mapping& mapping) {
  struct stat status;
  return mapping.damaged.load() || fstat(mapping.file.load(), &status) != 0 ||
         static_cast<std::uint64_t>(status.st_size) < mapping.bytes.load();
}

#endif

}  // namespace

void* blocksparse_map(const char* path, int64_t bytes, int32_t copy_on_write) {
  return path == nullptr || !fits(bytes) ? nullptr : map_file(path, bytes, copy_on_write != 0);
}

int32_t blocksparse_map_is_damaged(const void* memory) {
#if defined(_WIN32)
  static_cast<void>(memory);
  return 0;
#else
  const Mapping* const mapping = find(memory);
  return mapping != nullptr && is_damaged(*mapping) ? 1 : 0;
#endif
}

void blocksparse_unmap(void* memory) {
  if (memory == nullptr) {
    return;
  }
#if defined(_WIN32)
  UnmapViewOfFile(memory);
#else
  if (Mapping* const mapping = find(memory)) {
    // Reserved until the addresses are free: another mapping may get them at once.
    mapping->begin.store(&reserved_mark);
    munmap(memory, mapping->bytes.load());
    close(mapping->file.load());
    mapping->begin.store(nullptr);
  }
#endif
}
