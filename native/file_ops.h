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
// Messages back to back, each of which begins with its own length (u32); one write each. Returns how many
// were taken, and stops only when the connection is gone.
int64_t WriteMessages(int fd, const uint8_t* from, int64_t length);

}  // namespace byref
