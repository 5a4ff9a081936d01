{
  "targets": [
    {
      "target_name": "byref",
      "sources": [
        "module.cc",
        "files.cc",
        "stat.cc",
        "io.cc",
        "async.cc",
        "xattr.cc",
        "mount.cc",
        "device.cc",
        "loop.cc",
        "watch.cc",
        "extents.cc",
        "death.cc",
        "group_moves.cc",
        "lmdb_texts.cc",
        "shared.cc"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE", "_FILE_OFFSET_BITS=64"],
      "cflags": ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fvisibility=hidden"]
    },
    {
      "target_name": "byref-confine",
      "type": "executable",
      "sources": ["confine.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"]
    },
    {
      "target_name": "byref-monitor",
      "type": "executable",
      "sources": ["monitor.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "ldflags": ["-static"]
    },
    {
      "target_name": "byref-client",
      "type": "executable",
      "sources": ["client.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"]
    },
    {
      "target_name": "byref-services",
      "type": "executable",
      "sources": ["services.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "ldflags": ["-static"]
    },
    {
      "target_name": "byref-exec-server",
      "type": "executable",
      "sources": ["exec-server.c"],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "ldflags": ["-static"]
    },
    {
      "target_name": "byref-holder",
      "type": "executable",
      "sources": ["holder.cc"],
      "defines": ["_GNU_SOURCE", "_FILE_OFFSET_BITS=64"],
      "cflags": ["-O2", "-Wall", "-Wextra"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions"]
    }
  ]
}
