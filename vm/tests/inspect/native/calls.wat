;; A call may be a stop: what is live lies in the frame, and the pad stores it.
(module
  (import "" "tick" (func $tick (param i32) (result i32)))
  (func $leaf (param $x i32) (result i32)
    (i32.add (local.get $x) (i32.const 1)))
  (func $twice (param $x i32) (param $y i64) (result i64)
    (drop (call $leaf (local.get $x)))
    (i64.add (local.get $y) (i64.extend_i32_u (call $tick (i32.const 7))))))

;;! function 1 $leaf: 12 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;! block0:
;;!   leal 1(%rsi), %eax
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! function 2 $twice: 147 bytes of code
;;!   pushq %rbp
;;!   movq %rsp, %rbp
;;!   movq 0xb8(%rdi), %r10
;;!   addq $0x30, %r10
;;!   cmpq %rsp, %r10
;;!   jnbe #trap=stk_ovf
;;!   subq $0x20, %rsp
;;!   movq %rbx, (%rsp)
;;!   movq %r12, 8(%rsp)
;;!   movq %r13, 0x10(%rsp)
;;! block0:
;;!   movq %rdx, %r13
;;!   movq 0xc0(%rdi), %rbx
;;!   movq %rdi, %r12
;;!   movq 8(%rbx), %rax
;;!   call    *%rax; jmp MachLabel(2); catch [tag0: MachLabel(1)]
;;! block2:
;;!   movq (%rbx), %rax
;;!   movl $0x7, %esi
;;!   movq %r12, %rdi
;;!   call    *%rax; jmp MachLabel(4); catch [tag1: MachLabel(3)]
;;! block4:
;;!   movl %eax, %eax
;;!   movq %r13, %rdx
;;!   leaq (%rdx, %rax), %rax
;;!   movq (%rsp), %rbx
;;!   movq 8(%rsp), %r12
;;!   movq 0x10(%rsp), %r13
;;!   addq $0x20, %rsp
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;! block1:
;;!   movq %r13, %rdx
;;!   jmp     label5
;;! block3:
;;!   movq %r13, %rdx
;;!   jmp     label5
;;! block5:
;;!   movq %rdx, (%rax)
;;!   uninit  %rax
;;!   xorq %rax, %rax
;;!   movq (%rsp), %rbx
;;!   movq 8(%rsp), %r12
;;!   movq 0x10(%rsp), %r13
;;!   addq $0x20, %rsp
;;!   movq %rbp, %rsp
;;!   popq %rbp
;;!   retq
;;!
;;! at    can                operator  site  pad   state
;;! 0x3d  stop at the call   0x35      2     0x69  local 1 at 0
;;! 0x4a  stop at the call   0x3c      4     0x71  operand 0 at 0
;;! 0x91  stop at the entry            0
