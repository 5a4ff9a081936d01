{
  "targets": [
    {
      "target_name": "syscalls",
      "sources": ["addon.c"],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-Wno-missing-field-initializers"]
    }
  ]
}
