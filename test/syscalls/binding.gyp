{
  "targets": [
    {
      "target_name": "syscalls",
      "sources": ["addon.c"],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
    },
    {
      "target_name": "escapes",
      "type": "executable",
      "sources": ["escapes.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "ldflags": ["-static"]
    }
  ]
}
