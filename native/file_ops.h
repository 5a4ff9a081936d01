// System calls that have a synchronous and a thread-pool form. All return >= 0 or -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace byref {

// Reads until `length` bytes or the end of the file.
int64_t ReadAll(int fd, uint8_t* to, int64_t length, int64_t offset);
// Writes all of it, or as much as went before an error.
int64_t WriteAll(int fd, const uint8_t* from, int64_t length, int64_t offset);
int64_t CopyRange(int in, int64_t off_in, int out, int64_t off_out, int64_t length);
int64_t Allocate(int fd, int mode, int64_t offset, int64_t length);
int64_t Sync(int fd, bool data_only);
int64_t WriteOnce(int fd, const uint8_t* from, int64_t length);
// Batches back to back: a descriptor (i32), a length (u32), and as many bytes of messages, each of which begins
// with its own length (u32). One write per message; what the kernel refuses is passed over. Returns how many
// were taken.
int64_t WriteBatches(const uint8_t* from, int64_t length);

}  // namespace byref
