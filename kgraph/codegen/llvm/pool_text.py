"""The thread pool's code, as LLVM IR; pool.py has the protocol in words."""

from __future__ import annotations

import platform

from kgraph.codegen.llvm.target import GENERIC, NEON, Target

# Offsets in a pool, in bytes; what different threads write stands on different cache lines.
# The gate is the first word.
LOCK, TILE, ARGUMENT, COUNT, CONTEXT, SHARES, SLEEPERS, STOP, SPIN, NEXT = (
    64, 128, 136, 144, 152, 160, 192, 256, 264, 320,
)  # fmt: skip
LINE = 64  # NEXT is an array of counters, each on a line of its own: one for each thread

FUTEX = {"x86_64": 202, "aarch64": 98}
_PAUSE = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

_TEXT = """
; gate: epoch << 32 | open << 31 | workers inside
declare i64 @syscall(i64, ...)
declare i32 @clock_gettime(i32, ptr)
declare i32 @sched_yield()
PAUSE_DECLARATION

define void @kgraph_parallel_for(ptr %context, ptr %tile, ptr %argument, i64 %count) nounwind {
entry:
  %busy.p = getelementptr i8, ptr %context, i64 40
  %busy = load i64, ptr %busy.p
  %inside = icmp ne i64 %busy, 0
  br i1 %inside, label %nested, label %outer

nested:
  call void @run_alone(ptr %tile, ptr %argument, i64 %count, ptr null)
  ret void

outer:
  %slabs.p = getelementptr i8, ptr %context, i64 24
  %slabs = load ptr, ptr %slabs.p
  %one = icmp sle i64 %count, 1
  br i1 %one, label %single, label %several

single:
  ; no team: a parallel_for within this tile may have one
  call void @run_alone(ptr %tile, ptr %argument, i64 %count, ptr %slabs)
  ret void

several:
  store i64 1, ptr %busy.p
  %threads.p = getelementptr i8, ptr %context, i64 16
  %threads = load i64, ptr %threads.p
  %team = icmp sgt i64 %threads, 1
  br i1 %team, label %enlist, label %alone

enlist:
  %pool.p = getelementptr i8, ptr %context, i64 8
  %pool = load ptr, ptr %pool.p
  %lock = getelementptr i8, ptr %pool, i64 LOCK
  %taken = cmpxchg ptr %lock, i64 0, i64 1 acquire monotonic
  %won = extractvalue { i64, i1 } %taken, 1
  br i1 %won, label %open, label %alone

alone:
  call void @run_alone(ptr %tile, ptr %argument, i64 %count, ptr %slabs)
  store i64 0, ptr %busy.p
  ret void

open:
  %tile.p = getelementptr i8, ptr %pool, i64 TILE
  store ptr %tile, ptr %tile.p
  %argument.p = getelementptr i8, ptr %pool, i64 ARGUMENT
  store ptr %argument, ptr %argument.p
  %count.p = getelementptr i8, ptr %pool, i64 COUNT
  store i64 %count, ptr %count.p
  %context.p = getelementptr i8, ptr %pool, i64 CONTEXT
  store ptr %context, ptr %context.p
  %fewer = icmp slt i64 %count, %threads
  %shares = select i1 %fewer, i64 %count, i64 %threads
  %shares.p = getelementptr i8, ptr %pool, i64 SHARES
  store i64 %shares, ptr %shares.p
  br label %share

share:
  %number = phi i64 [ 0, %open ], [ %number.next, %share ]
  %next.p = call ptr @counter(ptr %pool, i64 %number)
  %start = call i64 @start(i64 %number, i64 %count, i64 %shares)
  store atomic i64 %start, ptr %next.p monotonic, align 8
  %number.next = add i64 %number, 1
  %another = icmp slt i64 %number.next, %shares
  br i1 %another, label %share, label %publish

publish:
  %old = load atomic i64, ptr %pool monotonic, align 8
  %epoch = add i64 %old, 4294967296
  %opened = or i64 %epoch, 2147483648
  ; a worker first counts itself as asleep and then looks at the gate once more; here it is the
  ; other way round, both in one total order: it sees the open gate, or is seen asleep
  %before = atomicrmw xchg ptr %pool, i64 %opened seq_cst
  %sleepers.p = getelementptr i8, ptr %pool, i64 SLEEPERS
  %sleepers = load atomic i64, ptr %sleepers.p seq_cst, align 8
  %any = icmp sgt i64 %sleepers, 0
  br i1 %any, label %wake, label %work

wake:
  %helpers = sub i64 %count, 1
  %few = icmp slt i64 %helpers, %sleepers
  %wanted = select i1 %few, i64 %helpers, i64 %sleepers
  %wanted32 = trunc i64 %wanted to i32
  %word = getelementptr i8, ptr %pool, i64 4
  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i32 129, i32 %wanted32)
  br label %work

work:
  call void @run_tiles(ptr %pool, i64 0, ptr %slabs)
  %closed = atomicrmw and ptr %pool, i64 -2147483649 acq_rel
  br label %wait

wait:
  %turn = phi i64 [ 0, %work ], [ %turn.next, %again ]
  %gate = load atomic i64, ptr %pool acquire, align 8
  %left = and i64 %gate, 2147483647
  %empty = icmp eq i64 %left, 0
  br i1 %empty, label %done, label %still

still:
  %turn.next = add i64 %turn, 1
  PAUSE
  ; with more threads than CPUs the one that is waited for may need this CPU
  %long = icmp sgt i64 %turn.next, 4096
  br i1 %long, label %yield, label %again

yield:
  %yielded = call i32 @sched_yield()
  br label %again

again:
  br label %wait

done:
  store i64 0, ptr %busy.p
  store atomic i64 0, ptr %lock release, align 8
  ret void
}

define internal void @run_alone(ptr %tile, ptr %argument, i64 %count, ptr %slab) nounwind {
entry:
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  call void %tile(ptr %argument, i64 %i, i64 0, ptr %slab)
  %i.next = add i64 %i, 1
  br label %test
done:
  ret void
}

; the tiles of the thread's own share, then what others have left of theirs
define internal void @run_tiles(ptr %pool, i64 %thread, ptr %slab) nounwind {
entry:
  %tile.p = getelementptr i8, ptr %pool, i64 TILE
  %tile = load ptr, ptr %tile.p
  %argument.p = getelementptr i8, ptr %pool, i64 ARGUMENT
  %argument = load ptr, ptr %argument.p
  %count.p = getelementptr i8, ptr %pool, i64 COUNT
  %count = load i64, ptr %count.p
  %shares.p = getelementptr i8, ptr %pool, i64 SHARES
  %shares = load i64, ptr %shares.p
  br label %visit
visit:
  %turn = phi i64 [ 0, %entry ], [ %turn.next, %leave ]
  %place = add i64 %thread, %turn
  %share = urem i64 %place, %shares
  %after = add i64 %share, 1
  %end = call i64 @start(i64 %after, i64 %count, i64 %shares)
  %next.p = call ptr @counter(ptr %pool, i64 %share)
  br label %look
look:
  %seen = load atomic i64, ptr %next.p monotonic, align 8
  %some = icmp slt i64 %seen, %end
  br i1 %some, label %take, label %leave
take:
  %i = atomicrmw add ptr %next.p, i64 1 monotonic
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %leave
body:
  call void %tile(ptr %argument, i64 %i, i64 %thread, ptr %slab)
  br label %look
leave:
  %turn.next = add i64 %turn, 1
  %visited = icmp sge i64 %turn.next, %shares
  br i1 %visited, label %done, label %visit
done:
  ret void
}

define internal ptr @counter(ptr %pool, i64 %share) alwaysinline nounwind {
  %offset = mul i64 %share, LINE
  %at = add i64 %offset, NEXT
  %counter = getelementptr i8, ptr %pool, i64 %at
  ret ptr %counter
}

; the first tile of a share
define internal i64 @start(i64 %share, i64 %count, i64 %shares) alwaysinline nounwind {
  %product = mul i64 %share, %count
  %start = udiv i64 %product, %shares
  ret i64 %start
}

; a thread's start; seat = { pool, number of the thread }
define ptr @kgraph_worker(ptr %seat) nounwind {
entry:
  %time = alloca { i64, i64 }
  %last.p = alloca i64
  store i64 0, ptr %last.p
  %pool = load ptr, ptr %seat
  %thread.p = getelementptr i8, ptr %seat, i64 8
  %thread = load i64, ptr %thread.p
  %word = getelementptr i8, ptr %pool, i64 4
  %sleepers.p = getelementptr i8, ptr %pool, i64 SLEEPERS
  %stop.p = getelementptr i8, ptr %pool, i64 STOP
  %spin.p = getelementptr i8, ptr %pool, i64 SPIN
  br label %watch

watch:
  %start = call i64 @now(ptr %time)
  br label %look

look:
  %turn = phi i64 [ 0, %watch ], [ %turn.next, %pass ], [ %turn.next, %check ]
  %gate = load atomic i64, ptr %pool acquire, align 8
  %last = load i64, ptr %last.p
  %new = call i1 @is_new(i64 %gate, i64 %last)
  br i1 %new, label %enter, label %pass

pass:
  PAUSE
  %turn.next = add i64 %turn, 1
  %due = and i64 %turn.next, 63
  %due.now = icmp eq i64 %due, 0
  br i1 %due.now, label %check, label %look

check:
  %now = call i64 @now(ptr %time)
  %passed = sub i64 %now, %start
  %spin = load i64, ptr %spin.p
  %enough = icmp sge i64 %passed, %spin
  br i1 %enough, label %sleep, label %look

sleep:
  %asleep = atomicrmw add ptr %sleepers.p, i64 1 seq_cst
  %stopped = load atomic i64, ptr %stop.p seq_cst, align 8
  %stop = icmp ne i64 %stopped, 0
  br i1 %stop, label %leave, label %peek

peek:
  %gate.2 = load atomic i64, ptr %pool seq_cst, align 8
  %last.2 = load i64, ptr %last.p
  %new.2 = call i1 @is_new(i64 %gate.2, i64 %last.2)
  br i1 %new.2, label %awake, label %doze

doze:
  %epoch.2 = lshr i64 %gate.2, 32
  %epoch.32 = trunc i64 %epoch.2 to i32
  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i32 128, i32 %epoch.32, ptr null)
  br label %awake

awake:
  %roused = atomicrmw sub ptr %sleepers.p, i64 1 seq_cst
  br label %watch

enter:
  %more = add i64 %gate, 1
  %taken = cmpxchg ptr %pool, i64 %gate, i64 %more acq_rel monotonic
  %won = extractvalue { i64, i1 } %taken, 1
  br i1 %won, label %seated, label %watch

seated:
  %epoch = lshr i64 %gate, 32
  store i64 %epoch, ptr %last.p
  %context.p = getelementptr i8, ptr %pool, i64 CONTEXT
  %context = load ptr, ptr %context.p
  %threads.p = getelementptr i8, ptr %context, i64 16
  %threads = load i64, ptr %threads.p
  %fits = icmp slt i64 %thread, %threads
  br i1 %fits, label %work, label %out

work:
  %slabs.p = getelementptr i8, ptr %context, i64 24
  %slabs = load ptr, ptr %slabs.p
  %stride.p = getelementptr i8, ptr %context, i64 32
  %stride = load i64, ptr %stride.p
  %offset = mul i64 %stride, %thread
  %slab = getelementptr i8, ptr %slabs, i64 %offset
  call void @run_tiles(ptr %pool, i64 %thread, ptr %slab)
  br label %out

out:
  %gone = atomicrmw sub ptr %pool, i64 1 release
  br label %watch

leave:
  %left = atomicrmw sub ptr %sleepers.p, i64 1 seq_cst
  ret ptr null
}

; an open gate of another job than the last one
define internal i1 @is_new(i64 %gate, i64 %last) alwaysinline nounwind {
  %open = and i64 %gate, 2147483648
  %is.open = icmp ne i64 %open, 0
  %epoch = lshr i64 %gate, 32
  %other = icmp ne i64 %epoch, %last
  %both = and i1 %is.open, %other
  ret i1 %both
}

define internal i64 @now(ptr %time) nounwind {
  %code = call i32 @clock_gettime(i32 1, ptr %time)
  %seconds = load i64, ptr %time
  %rest.p = getelementptr i8, ptr %time, i64 8
  %rest = load i64, ptr %rest.p
  %whole = mul i64 %seconds, 1000000000
  %sum = add i64 %whole, %rest
  ret i64 %sum
}

; sends the workers home once no job runs; a later parallel_for has no helpers
define void @kgraph_stop(ptr %pool) nounwind {
entry:
  %lock = getelementptr i8, ptr %pool, i64 LOCK
  br label %try
try:
  %taken = cmpxchg ptr %lock, i64 0, i64 1 acquire monotonic
  %won = extractvalue { i64, i1 } %taken, 1
  br i1 %won, label %stop, label %wait
wait:
  %yielded = call i32 @sched_yield()
  br label %try
stop:
  %stop.p = getelementptr i8, ptr %pool, i64 STOP
  store atomic i64 1, ptr %stop.p seq_cst, align 8
  %epoch = atomicrmw add ptr %pool, i64 4294967296 seq_cst
  %word = getelementptr i8, ptr %pool, i64 4
  %woken = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i32 129, i32 2147483647)
  store atomic i64 0, ptr %lock release, align 8
  ret void
}
"""


def pool_target() -> Target:
    """The target of the pool's object: any CPU of this machine's kind."""
    return NEON if platform.machine() in ("aarch64", "arm64") else GENERIC


def pool_bytes(threads: int) -> int:
    """The memory of a pool."""
    return NEXT + threads * LINE


def pool_text() -> str:
    """The pool as LLVM IR."""
    machine = "aarch64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    target = pool_target()
    text = _TEXT
    declaration, pause = _PAUSE[machine]
    names: dict[str, object] = {
        "PAUSE_DECLARATION": declaration, "PAUSE": pause, "FUTEX": FUTEX[machine], "LOCK": LOCK,
        "TILE": TILE, "ARGUMENT": ARGUMENT, "COUNT": COUNT, "CONTEXT": CONTEXT, "NEXT": NEXT,
        "SHARES": SHARES, "SLEEPERS": SLEEPERS, "STOP": STOP, "SPIN": SPIN, "LINE": LINE,
    }  # fmt: skip
    for name, value in names.items():
        text = text.replace(name, str(value))
    return f'target datalayout = "{target.layout}"\ntarget triple = "{target.triple}"\n{text}'
