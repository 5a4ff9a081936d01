// Mends how LMDB tells a failed write. The lmdb package (3.5.6, mdb_page_flush in mdb.c) prints "Attempting to write page at
// position ..." with three numbers of which two may be whatever the stack has, into 100 bytes that it allocated: up to twelve
// more are written, over what malloc keeps behind them, and the process dies of it at one of the next allocations. It also
// prints a line without an end to stderr. So its calls of sprintf and fprintf are led here: the slots of its global offset
// table, which the loader filled with those of libc, get other addresses.
#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "args.h"
#include "exports.h"

namespace byref {
namespace {

// The name that the add-on of the lmdb package gives itself, wherever it is installed and for whatever ABI of Node it was built.
constexpr char kLibrary[] = "lmdb.node";
constexpr char kOfWrite[] = "Attempting to write page";
constexpr char kToStderr[] = "Write error: ";
// What is allocated for that text.
constexpr size_t kRoom = 100;

bool BeginsWith(const char* text, const char* begin) { return strncmp(text, begin, strlen(begin)) == 0; }

int BoundedSprintf(char* to, const char* format, ...) {
  va_list values;
  va_start(values, format);
  const int length =
      BeginsWith(format, kOfWrite) ? vsnprintf(to, kRoom, format, values) : vsprintf(to, format, values);
  va_end(values);
  return length;
}

int QuietFprintf(FILE* to, const char* format, ...) {
  // The error that is thrown says it, too.
  if (BeginsWith(format, kToStderr)) return 0;
  va_list values;
  va_start(values, format);
  const int length = vfprintf(to, format, values);
  va_end(values);
  return length;
}

#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))

// The tables of a library that is loaded, as far as they are needed here.
struct Library {
  uintptr_t base;
  const char* strings;
  const ElfW(Sym) * symbols;
  const ElfW(Rela) * calls;
  size_t calls_size;
  const ElfW(Rela) * others;
  size_t others_size;
  size_t name;
};

// The loader has made addresses of what the file says, or not: that differs between architectures and C libraries.
uintptr_t AddressOf(const Library& library, uintptr_t value) {
  return value < library.base ? library.base + value : value;
}

bool Read(const dl_phdr_info* info, Library* out) {
  *out = {};
  out->base = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(out->base + info->dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; entry++) {
      const uintptr_t address = AddressOf(*out, entry->d_un.d_ptr);
      switch (entry->d_tag) {
        case DT_STRTAB: out->strings = reinterpret_cast<const char*>(address); break;
        case DT_SYMTAB: out->symbols = reinterpret_cast<const ElfW(Sym)*>(address); break;
        case DT_JMPREL: out->calls = reinterpret_cast<const ElfW(Rela)*>(address); break;
        case DT_PLTRELSZ: out->calls_size = entry->d_un.d_val; break;
        case DT_RELA: out->others = reinterpret_cast<const ElfW(Rela)*>(address); break;
        case DT_RELASZ: out->others_size = entry->d_un.d_val; break;
        case DT_SONAME: out->name = entry->d_un.d_val; break;
      }
    }
  }
  return out->strings != nullptr && out->symbols != nullptr && out->name != 0;
}

// Leads a slot elsewhere; false if it can't be written to.
bool Set(uintptr_t slot, void* to) {
  const uintptr_t size = sysconf(_SC_PAGESIZE);
  // With all addresses found at its start, the loader would have closed the page.
  if (mprotect(reinterpret_cast<void*>(slot & ~(size - 1)), size, PROT_READ | PROT_WRITE) != 0) return false;
  __atomic_store_n(reinterpret_cast<void**>(slot), to, __ATOMIC_RELEASE);
  return true;
}

// Leads all uses of a function elsewhere; returns how many there were.
int Lead(const Library& library, const ElfW(Rela) * from, size_t size, const char* name, void* to) {
  int count = 0;
  for (size_t i = 0; i < size / sizeof *from; i++) {
    const size_t symbol = ELF64_R_SYM(from[i].r_info);
    if (symbol == 0 || strcmp(library.strings + library.symbols[symbol].st_name, name) != 0) continue;
    if (Set(library.base + from[i].r_offset, to)) count++;
  }
  return count;
}

int Lead(const Library& library, const char* name, void* to) {
  return Lead(library, library.calls, library.calls_size, name, to) +
         Lead(library, library.others, library.others_size, name, to);
}

int Visit(dl_phdr_info* info, size_t, void* found) {
  Library library;
  if (!Read(info, &library) || strcmp(library.strings + library.name, kLibrary) != 0) return 0;
  *static_cast<int*>(found) += Lead(library, "sprintf", reinterpret_cast<void*>(BoundedSprintf));
  Lead(library, "fprintf", reinterpret_cast<void*>(QuietFprintf));
  return 0;
}

int BoundAll() {
  int found = 0;
  dl_iterate_phdr(Visit, &found);
  return found;
}

#else

int BoundAll() { return 0; }

#endif

napi_value BoundLmdbTexts(napi_env env, napi_callback_info) { return Number(env, BoundAll()); }

}  // namespace

void ExportLmdbTexts(napi_env env, napi_value exports) {
  Export(env, exports, "boundLmdbTexts", BoundLmdbTexts);
}

}  // namespace byref
