;; The header of a loop looks whether it shall stop, and gives up what is live.
(module
  (func $sum (param $n i32) (result i32)
    (local $sum i32) (local $old i32)
    (loop $next
      (local.set $old (local.get $sum))
      (local.set $sum (i32.add (local.get $old) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $nested (param $rows i32) (param $columns i64) (result i64)
    (local $column i64) (local $count i64)
    (loop $row
      (local.set $column (local.get $columns))
      (loop $cell
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (local.set $column (i64.sub (local.get $column) (i64.const 1)))
        (br_if $cell (i32.wrap_i64 (local.get $column))))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
    (local.get $count)))

;;! function 0 $sum: 113 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xb8(%rdi), %r10
;;!   addq $0x10, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;! block0:
;;!   uninit  %rax
;;!   xorl %eax, %eax
;;!   jmp     label1
;;! block1:
;;!   movl 0xb4(%rdi), %ecx
;;!   testl %ecx, %ecx
;;!   jnz     label5; j label2
;;! block2:
;;!   movq %rsi, %rcx
;;!   subl $0x1, %ecx
;;!   leal (%rax, %rsi), %eax
;;!   testl %ecx, %ecx
;;!   jnz     label3; j label4
;;! block3:
;;!   movq %rcx, %rsi
;;!   jmp     label1
;;! block4:
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block6:
;;!   jmp     label1
;;! block5:
;;!   movq 0xd0(%rdi), %rcx
;;!   call    *%rcx
;;!   movq 0xf0(%rdi), %rcx
;;!   testq %rcx, %rcx
;;!   jnz     label7; j label6
;;! block7:
;;!   movl %eax, 8(%rcx)
;;!   movl %esi, (%rcx)
;;!   uninit  %rax
;;!   xorl %eax, %eax
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at    can                operator  site  pad  state
;;! 0x53  stop at the loop   0x22      1          local 0 at 0, local 1 at 8
;;! 0x6f  stop at the entry            0
;;!
;;! function 1 $nested: 193 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xb8(%rdi), %r10
;;!   addq $0x10, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;! block0:
;;!   uninit  %rax
;;!   xorq %rax, %rax
;;!   jmp     label1
;;! block1:
;;!   movl 0xb4(%rdi), %ecx
;;!   testl %ecx, %ecx
;;!   jnz     label12; j label2
;;! block2:
;;!   movq %rdx, %rcx
;;!   jmp     label3
;;! block3:
;;!   movl 0xb4(%rdi), %r8d
;;!   testl %r8d, %r8d
;;!   jnz     label9; j label4
;;! block4:
;;!   movq %rcx, %r8
;;!   subl $0x1, %r8d
;;!   subq $0x1, %rcx
;;!   leaq 1(%rax), %rax
;;!   testl %r8d, %r8d
;;!   jnz     label5; j label6
;;! block5:
;;!   jmp     label3
;;! block6:
;;!   subl $0x1, %esi
;;!   testl %esi, %esi
;;!   jnz     label7; j label8
;;! block7:
;;!   jmp     label1
;;! block8:
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block10:
;;!   jmp     label3
;;! block13:
;;!   jmp     label1
;;! block9:
;;!   movq 0xd0(%rdi), %r8
;;!   call    *%r8
;;!   movq 0xf0(%rdi), %r8
;;!   testq %r8, %r8
;;!   jnz     label11; j label10
;;! block11:
;;!   movq %rax, 0x18(%r8)
;;!   movq %rcx, 0x10(%r8)
;;!   jmp     label15
;;! block12:
;;!   movq 0xd0(%rdi), %rcx
;;!   call    *%rcx
;;!   movq 0xf0(%rdi), %r8
;;!   testq %r8, %r8
;;!   jnz     label14; j label13
;;! block14:
;;!   movq %rax, 0x10(%r8)
;;!   jmp     label15
;;! block15:
;;!   movl %esi, 8(%r8)
;;!   movq %rdx, (%r8)
;;!   uninit  %rax
;;!   xorq %rax, %rax
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at    can                operator  site  pad  state
;;! 0x76  stop at the loop   0x46      2          local 0 at 8, local 1 at 0, local 2 at 16, local 3 at 24
;;! 0x9c  stop at the loop   0x40      1          local 0 at 8, local 1 at 0, local 3 at 16
;;! 0xbf  stop at the entry            0
