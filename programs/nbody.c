// nbody: the sun and four planets for N steps; prints the energy before and after.
//
// Shows: double precision arithmetic in a hot loop, and that results are the same on every host.
// Try:   brant run programs/bin/nbody.wasm 10000
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 5 };
static const double PI = 3.141592653589793;
static const double DAYS = 365.24;

typedef struct {
  double x, y, z, vx, vy, vz, mass;
} Body;

static Body bodies[BODIES];

static void init(void) {
  const double sun_mass = 4 * PI * PI;
  const Body planets[BODIES] = {
      {0, 0, 0, 0, 0, 0, 1},
      {4.84143144246472090, -1.16032004402742839, -0.103622044471123109,
       0.00166007664274403694, 0.00769901118419740425, -0.0000690460016972063023, 0.000954791938424326609},
      {8.34336671824457987, 4.12479856412430479, -0.403523417114321381,
       -0.00276742510726411040, 0.00499852801234917238, 0.0000230417297573763929, 0.000285885980666130812},
      {12.8943695621391310, -15.1111514016986312, -0.223307578892655734,
       0.00296460137564761618, 0.00237847173959480950, -0.0000296589568540237556, 0.0000436624404335156298},
      {15.3796971148509165, -25.9193146099879641, 0.179258772950371181,
       0.00268067772490389322, 0.00162824170038242295, -0.0000951592254519715870, 0.0000515138902046611451},
  };
  double px = 0, py = 0, pz = 0;
  for (int i = 0; i < BODIES; i++) {
    Body b = planets[i];
    b.vx *= DAYS, b.vy *= DAYS, b.vz *= DAYS, b.mass *= sun_mass;
    px += b.vx * b.mass, py += b.vy * b.mass, pz += b.vz * b.mass;
    bodies[i] = b;
  }
  // The sun moves so that the whole stands still.
  bodies[0].vx = -px / sun_mass, bodies[0].vy = -py / sun_mass, bodies[0].vz = -pz / sun_mass;
}

static void advance(double dt) {
  for (int i = 0; i < BODIES; i++) {
    Body *a = &bodies[i];
    for (int j = i + 1; j < BODIES; j++) {
      Body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz;
      double pull = dt / (square * sqrt(square));
      a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
    }
  }
  for (int i = 0; i < BODIES; i++) {
    Body *b = &bodies[i];
    b->x += dt * b->vx, b->y += dt * b->vy, b->z += dt * b->vz;
  }
}

static double energy(void) {
  double sum = 0;
  for (int i = 0; i < BODIES; i++) {
    const Body *a = &bodies[i];
    sum += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
    for (int j = i + 1; j < BODIES; j++) {
      const Body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      sum -= a->mass * b->mass / sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return sum;
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? strtol(argv[1], NULL, 10) : 10000;
  init();
  printf("%.9f\n", energy());
  for (long i = 0; i < steps; i++) advance(0.01);
  printf("%.9f\n", energy());
  return 0;
}
