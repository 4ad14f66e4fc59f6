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

;;! function 0 $sum: 213 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xc0(%rdi), %r10
;;!   addq $0x10, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;! block0:
;;!   uninit  %rax
;;!   xorl %eax, %eax
;;!   movq %rax, %r10
;;!   jmp     label1
;;! block1:
;;!   movq 0xb8(%rdi), %rax
;;!   cmpq %rax, %rdi
;;!   jb      label12; j label2
;;! block2:
;;!   movq %rsi, %rcx
;;!   subl $0x1, %ecx
;;!   testl %ecx, %ecx
;;!   jnz     label4; j label3
;;! block3:
;;!   movq %r10, %rax
;;!   leal (%rax, %rsi), %eax
;;!   jmp     label11
;;! block4:
;;!   movq %r10, %rax
;;!   movq %rsi, %rdx
;;!   subl $0x2, %edx
;;!   testl %edx, %edx
;;!   jnz     label6; j label5
;;! block5:
;;!   leal (%rax, %rsi), %eax
;;!   leal (%rax, %rcx), %eax
;;!   jmp     label11
;;! block6:
;;!   movq %rsi, %rdx
;;!   subl $0x3, %edx
;;!   testl %edx, %edx
;;!   jnz     label8; j label7
;;! block7:
;;!   leal (%rax, %rsi), %eax
;;!   leal (%rax, %rcx), %eax
;;!   subl $0x2, %esi
;;!   leal (%rax, %rsi), %eax
;;!   jmp     label11
;;! block8:
;;!   movq %rsi, %rdx
;;!   subl $0x4, %edx
;;!   leal (%rax, %rsi), %eax
;;!   leal (%rax, %rcx), %eax
;;!   movq %rsi, %rcx
;;!   subl $0x2, %ecx
;;!   leal (%rax, %rcx), %eax
;;!   subl $0x3, %esi
;;!   leal (%rax, %rsi), %eax
;;!   testl %edx, %edx
;;!   jnz     label9; j label10
;;! block9:
;;!   movq %rdx, %rsi
;;!   movq %rax, %r10
;;!   jmp     label1
;;! block10:
;;!   jmp     label11
;;! block11:
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block13:
;;!   jmp     label1
;;! block12:
;;!   movq 0xd0(%rdi), %rax
;;!   call    *%rax
;;!   movq 0x1d8(%rdi), %rax
;;!   testq %rax, %rax
;;!   jnz     label14; j label13
;;! block14:
;;!   movl %r10d, 8(%rax)
;;!   movl %esi, (%rax)
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at    can                operator  site  pad  state
;;! 0xb8  stop at the loop   0x22      1          local 0 at 0, local 1 at 8
;;! 0xd3  stop at the entry            0
;;!
;;! function 1 $nested: 311 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xc0(%rdi), %r10
;;!   addq $0x10, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;! block0:
;;!   uninit  %rax
;;!   xorq %rax, %rax
;;!   movq %rax, %r8
;;!   jmp     label1
;;! block1:
;;!   movq 0xb8(%rdi), %rax
;;!   cmpq %rax, %rdi
;;!   jb      label19; j label2
;;! block2:
;;!   movq %rdx, %rcx
;;!   jmp     label3
;;! block3:
;;!   movq 0xb8(%rdi), %rax
;;!   cmpq %rax, %rdi
;;!   jb      label16; j label4
;;! block4:
;;!   movq %rcx, %rax
;;!   subl $0x1, %eax
;;!   testl %eax, %eax
;;!   jnz     label6; j label5
;;! block5:
;;!   movq %r8, %rax
;;!   leaq 1(%rax), %rax
;;!   jmp     label13
;;! block6:
;;!   movq %r8, %rax
;;!   movq %rcx, %r8
;;!   subl $0x2, %r8d
;;!   testl %r8d, %r8d
;;!   jnz     label8; j label7
;;! block7:
;;!   leaq 2(%rax), %rax
;;!   jmp     label13
;;! block8:
;;!   movq %rcx, %r8
;;!   subl $0x3, %r8d
;;!   testl %r8d, %r8d
;;!   jnz     label10; j label9
;;! block9:
;;!   leaq 3(%rax), %rax
;;!   jmp     label13
;;! block10:
;;!   movq %rcx, %r8
;;!   subl $0x4, %r8d
;;!   subq $0x4, %rcx
;;!   leaq 4(%rax), %rax
;;!   testl %r8d, %r8d
;;!   jnz     label11; j label12
;;! block11:
;;!   movq %rax, %r8
;;!   jmp     label3
;;! block12:
;;!   jmp     label13
;;! block13:
;;!   subl $0x1, %esi
;;!   testl %esi, %esi
;;!   jnz     label14; j label15
;;! block14:
;;!   movq %rax, %r8
;;!   jmp     label1
;;! block15:
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block17:
;;!   jmp     label3
;;! block20:
;;!   movq %r10, %r8
;;!   jmp     label1
;;! block16:
;;!   movq 0xd0(%rdi), %rax
;;!   call    *%rax
;;!   movq 0x1d8(%rdi), %rax
;;!   testq %rax, %rax
;;!   jnz     label18; j label17
;;! block18:
;;!   movq %r8, %r10
;;!   movq %r10, 0x18(%rax)
;;!   movq %rcx, 0x10(%rax)
;;!   jmp     label22
;;! block19:
;;!   movq %r8, %r10
;;!   movq 0xd0(%rdi), %rax
;;!   call    *%rax
;;!   movq 0x1d8(%rdi), %rax
;;!   testq %rax, %rax
;;!   jnz     label21; j label20
;;! block21:
;;!   movq %r10, 0x10(%rax)
;;!   jmp     label22
;;! block22:
;;!   movl %esi, 8(%rax)
;;!   movq %rdx, (%rax)
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at     can                operator  site  pad  state
;;! 0xea   stop at the loop   0x46      2          local 0 at 8, local 1 at 0, local 2 at 16, local 3 at 24
;;! 0x116  stop at the loop   0x40      1          local 0 at 8, local 1 at 0, local 3 at 16
;;! 0x135  stop at the entry            0
