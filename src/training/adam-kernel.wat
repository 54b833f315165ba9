;; One step of Adam in place, four parameters at a time: the arithmetic of adamStep in optimizer.ts, in the same order and in float32, so
;; that both give the same bits. Assembled into adam-kernel.ts; a test holds the two against each other.
(module
  (memory (import "training" "memory") 1)
  (func (export "adam")
    ;; addresses of float32: parameters, gradient, first and second moments
    (param $p i32) (param $g i32) (param $m i32) (param $v i32)
    ;; number of parameters, a multiple of 4
    (param $count i32)
    ;; AdamFactors
    (param $beta1 f32) (param $beta2 f32) (param $rate1 f32) (param $rate2 f32)
    (param $stepSize f32) (param $secondScale f32) (param $epsilon f32) (param $keep f32)
    (local $end i32) (local $slope v128) (local $first v128) (local $second v128)
    (local.set $end (i32.add (local.get $p) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $slope (v128.load (local.get $g)))
        ;; m = beta1 m + rate1 g
        (local.set $first
          (f32x4.add
            (f32x4.mul (f32x4.splat (local.get $beta1)) (v128.load (local.get $m)))
            (f32x4.mul (f32x4.splat (local.get $rate1)) (local.get $slope))))
        ;; v = beta2 v + (rate2 g) g
        (local.set $second
          (f32x4.add
            (f32x4.mul (f32x4.splat (local.get $beta2)) (v128.load (local.get $v)))
            (f32x4.mul
              (f32x4.mul (f32x4.splat (local.get $rate2)) (local.get $slope))
              (local.get $slope))))
        (v128.store (local.get $m) (local.get $first))
        (v128.store (local.get $v) (local.get $second))
        ;; p = p keep - stepSize m / (sqrt(v) secondScale + epsilon)
        (v128.store (local.get $p)
          (f32x4.sub
            (f32x4.mul (v128.load (local.get $p)) (f32x4.splat (local.get $keep)))
            (f32x4.div
              (f32x4.mul (f32x4.splat (local.get $stepSize)) (local.get $first))
              (f32x4.add
                (f32x4.mul (f32x4.sqrt (local.get $second)) (f32x4.splat (local.get $secondScale)))
                (f32x4.splat (local.get $epsilon))))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next)))))
